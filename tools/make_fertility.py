"""Write data/fertility.csv: children per woman by country and year, with the gaps of the record.

Left out are the groups of countries (means over other rows), the countries without any number, and
the years without any number. A gap is an empty cell. Numbers are rounded to the three decimals with
which they are published; the file read here holds some as 3.2260000000000004.

    python tools/make_fertility.py FILE

FILE is statsmodels/datasets/fertility/fertility.csv of the package statsmodels.
"""

import csv
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "data" / "fertility.csv"
GROUPS = {
    "CAA": "Sub-Saharan Africa (IFC classification)",
    "LCN": "Latin America & Caribbean (all income levels)",
    "OED": "OECD members",
    "OSS": "Other small states",
    "PSS": "Pacific island small states",
}


def rounded(cell: str) -> str:
    """Return a number with at most three decimals, or nothing for a gap."""
    return f"{float(cell):.3f}".rstrip("0").rstrip(".") if cell else ""


def main(source: Path) -> None:
    """Choose countries and years, write one line per country and count the gaps."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    years = [name for name in rows[0] if name.isdigit() and any(row[name] for row in rows)]
    countries = sorted(
        (row["Country Name"], row["Country Code"], *(rounded(row[year]) for year in years))
        for row in rows
        if row["Country Code"] not in GROUPS and any(row[year] for year in years)
    )
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["country", "code", *years])
        writer.writerows(countries)
    gaps = sum(row.count("") for row in countries)
    print(f"{len(countries)} countries, {len(years)} years, {gaps} gaps")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
