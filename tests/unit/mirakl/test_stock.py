"""What a stock file looks like to Mirakl, and what its report says."""

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mirakl.translate.stock import error_report, stock_file, unwritable
from adapters.mirakl.translate.values import UnreadableError
from schemas.values import Sku


def test_a_stock_file_is_quoted_as_rfc_4180_has_it():
    quantities = {Sku("A"): 0, Sku('B "x"; y'): 1_000_000, Sku("=cmd"): 2, Sku("é,1"): 3, Sku(" "): 1, Sku("a\r\nb"): 1, Sku("neg"): -1}
    assert stock_file(quantities).decode() == (
        '"offer-sku";"quantity";"warehouse-code";"update-delete"\r\n'
        '"A";"0";"";"update"\r\n'
        '"B ""x""; y";"1000000";"";"update"\r\n'
        '"=cmd";"2";"";"update"\r\n'
        '"é,1";"3";"";"update"\r\n'
    )
    assert set(unwritable(quantities)) == {" ", "a\r\nb", "neg"}


@given(st.dictionaries(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1), st.integers(0, 10**9)))
def test_what_is_written_is_read_back(quantities: dict[str, int]):
    by_sku = {Sku(sku): units for sku, units in quantities.items()}
    rows = list(csv.reader(io.StringIO(stock_file(by_sku).decode(), newline=""), delimiter=";"))[1:]
    left_out = unwritable(by_sku)
    assert {row[0]: int(row[1]) for row in rows} == {sku: units for sku, units in quantities.items() if sku not in left_out}


@pytest.mark.parametrize(
    "body",
    [
        b'"line-number";"error-message";"offer-sku";"quantity"\r\n2;"No; offer";"A ""1"" \xc3\xa9";"1"\r\n7;Gone;B;2\r\n',
        b"\xef\xbb\xbf2;No; offer;A\n".replace(b"No; offer;A", b'"No; offer";"A ""1"" \xc3\xa9"') + b"7;Gone;B;2",
        'Zeile;Grund;Angebot\n2;"No; offer";"A ""1"" é"\n7;Gone;B\n'.encode("latin-1"),
        'line,why,offer-sku\n2,"No; offer","A ""1"" é"\n7,Gone,B\n'.encode("utf-16"),
        b'line;why;offer-sku\n2;"No; offer";"A ""1"" \xc3\xa9"\n\nx;y;Z\n8;cut\n7;Gone;B;2;3;4\n9;none;\n',
    ],
)
def test_an_error_report_is_read_by_position(body: bytes):
    assert error_report(body) == {'A "1" é': "No; offer", "B": "Gone"}


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04", b"line;why;sku\r\n", b'2;"' + b"x" * 200_000, b"\xff\xfe\x00", b"2;why\n"])
def test_a_report_of_which_nothing_can_be_read_is_not_one_of_no_errors(body: bytes):
    with pytest.raises(UnreadableError):
        error_report(body)


@given(st.binary(max_size=200))
def test_no_error_report_is_too_strange(body: bytes):
    with contextlib.suppress(UnreadableError):
        assert error_report(body)
