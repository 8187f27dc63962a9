"""Write data/documentation_counts.csv.gz: word counts of the pages about Python's library.

Read is the main part of every HTML page of the Library Reference, without the example code and the
permalinks. Left out are pages that only list other pages, and pages under 200 words.

A word is a run of at least three of the letters a to z, after lower-casing. Left out are the stop
words below, words on fewer than 5 pages and words on more than 30 % of them. Of the others, those
1,500 are kept that tell most about the page: if all uses of a word were spread over the pages in
proportion to their length, it would stand e times on a page where it really stands x times; its
information is the sum of x log(x / e) over the pages.

    python tools/make_documentation_counts.py FOLDER

FOLDER is the folder `library` of the HTML documentation. Needs beautifulsoup4.
"""

import gzip
import re
import sys
from collections import Counter
from math import log
from pathlib import Path

from bs4 import BeautifulSoup

TARGET = Path(__file__).resolve().parents[1] / "data" / "documentation_counts.csv.gz"
SHORTEST_PAGE = 200
FEWEST_PAGES = 5
LARGEST_SHARE = 0.3
N_WORDS = 1500
STOP_WORDS = set(
    re.findall(
        "[a-z]+",
        """
        about above after all also although and another any are aren because been before being
        below between both but can cannot could did does doesn don each either else etc even every
        for from further had has have having how however into instead isn its itself just may
        might more most much must need neither nor not note off one only onto other otherwise our
        out over own rather same see several shall should since some such than that the their them
        then there these they this those though through thus too two under until upon used use
        uses using very via was well were what when where whether which while who whose will with
        within without won would yet you your
        """,
    )
)


def words_of(page: str) -> list[str]:
    """Return the words of an HTML page in their order, or none if it only lists other pages."""
    main = BeautifulSoup(page, "html.parser").find(role="main")
    if main.find(class_="toctree-wrapper"):
        return []
    for part in main.find_all("pre") + main.find_all(class_="headerlink"):
        part.decompose()
    return re.findall("[a-z]{3,}", main.get_text().lower())


def information(word: str, pages: dict[str, Counter]) -> float:
    """Return the sum of x log(x / e) over the pages for one word (see above)."""
    total = sum(counts[word] for counts in pages.values())
    length = sum(counts.total() for counts in pages.values())
    return sum(
        counts[word] * log(counts[word] * length / (counts.total() * total))
        for counts in pages.values()
        if counts[word]
    )


def vocabulary(pages: dict[str, Counter]) -> list[str]:
    """Return the words that are kept, in alphabetical order."""
    n_pages = Counter(word for counts in pages.values() for word in counts)
    most = LARGEST_SHARE * len(pages)
    candidates = sorted(word for word, n in n_pages.items() if FEWEST_PAGES <= n <= most)
    best = sorted(candidates, key=lambda word: information(word, pages), reverse=True)
    return sorted(best[:N_WORDS])


def main(folder: Path) -> None:
    """Count the words of every page, choose among them and write the counts that are not 0."""
    texts = {page.stem: words_of(page.read_text("utf-8")) for page in folder.glob("*.html")}
    pages = {
        name: Counter(word for word in text if word not in STOP_WORDS)
        for name, text in sorted(texts.items())
        if len(text) >= SHORTEST_PAGE
    }
    words = vocabulary(pages)
    rows = [f"{p},{w},{counts[w]}" for p, counts in pages.items() for w in words if counts[w]]
    content = "\n".join(["page,word,count", *rows, ""]).encode()
    TARGET.write_bytes(gzip.compress(content, mtime=0))
    print(f"{len(pages)} pages, {len(words)} words, {len(rows)} counts")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
