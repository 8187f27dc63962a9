"""The explorers: a picture, a few controls, and the state told in words. One explorer a file."""
