"""Batch files: what a row is, and where a file may be cut."""

import tracemalloc

import pytest

from payments.batches.layout import PAYMENTS
from payments.batches.records import (
    MAX_RECORD_CHARACTERS,
    REMOVED_CARD_NUMBER,
    RejectedRow,
    ValidRow,
    plan_file,
    read_rows,
)
from payments.core.content import Content
from payments.core.faults import UnreadableFile
from tests.unit.cloud import payment_content

DOCUMENTED = (
    b"payment_id,amount,currency\npay_001,100.00,USD\npay_002,50.00,EUR\npay_003,75.50,USD\n"
)


def rows_of(
    content: bytes, *, range_bytes: int = 10**9, block_bytes: int = 10**9
) -> list[ValidRow[Content] | RejectedRow]:
    """Plan a file and read its rows range by range, in blocks of a given size."""

    def blocks(start: int, end: int) -> list[bytes]:
        return [content[at : min(at + block_bytes, end)] for at in range(start, end, block_bytes)]

    plan = plan_file(blocks(0, len(content)), range_bytes, PAYMENTS)
    return [
        row
        for part in plan.ranges
        for row in read_rows(blocks(part.start, part.end), plan.columns, part.first_line, PAYMENTS)
    ]


def rows_planned_in_portions(
    content: bytes, *, most_bytes: int
) -> list[ValidRow[Content] | RejectedRow]:
    """Plan a file in several calls, each of which goes on where the last one ended."""
    plan = plan_file(
        [content[at : at + 5] for at in range(0, len(content), 5)], 7, PAYMENTS, most_bytes=1
    )
    ranges = list(plan.ranges)
    while plan.unread:
        rest = content[plan.unread.start :]
        plan = plan_file(
            [rest[at : at + 5] for at in range(0, len(rest), 5)],
            7,
            PAYMENTS,
            most_bytes=most_bytes,
            columns=plan.columns,
            place=plan.unread,
        )
        ranges.extend(plan.ranges)
    return [
        row
        for part in ranges
        for row in read_rows(
            [content[part.start : part.end]], plan.columns, part.first_line, PAYMENTS
        )
    ]


def codes(rows: list[ValidRow[Content] | RejectedRow]) -> dict[int, list[str]]:
    return {
        row.line: [error.code for error in row.errors]
        for row in rows
        if isinstance(row, RejectedRow)
    }


OPTIONS = b"""payment_id,amount,currency,Capture,processor_customer,processor_payment_method
p1,1,USD,manual,cus_1,pm_1
p2,1,USD,,,
p3,1,USD," ",\t,'pm_3
p4,1,USD,later,,4242 4242 4242 4242
p5,1,USD,automatic , cus_5 ,pm_5
"""


class TestOptionalFields:
    """Columns that a file may have."""

    def test_they_are_read_where_they_say_something(self) -> None:
        one = payment_content("p1", 100, "USD")
        assert [row.content for row in rows_of(OPTIONS) if isinstance(row, ValidRow)] == [
            one._replace(
                processor_customer="cus_1", processor_payment_method="pm_1", capture="manual"
            ),
            one._replace(payment_id="p2"),
            one._replace(payment_id="p3", processor_payment_method="pm_3"),
            one._replace(
                payment_id="p5", processor_customer="cus_5", processor_payment_method="pm_5"
            ),
        ]

    def test_their_faults_are_reported_and_a_card_number_is_not_repeated(self) -> None:
        [rejected] = (row for row in rows_of(OPTIONS) if isinstance(row, RejectedRow))
        assert codes([rejected]) == {5: ["card_number", "unknown_capture"]}
        assert rejected.cells == ("p4", "1", "USD", "later", "", REMOVED_CARD_NUMBER)
        assert "4242" not in repr(rejected)

    @pytest.mark.parametrize("name", ["capture", "processor_customer", "PROCESSOR_PAYMENT_METHOD"])
    def test_one_given_twice_makes_the_file_unreadable(self, name: str) -> None:
        file = f"payment_id,amount,currency,{name},{name.lower()}\n".encode()
        with pytest.raises(UnreadableFile, match=f"more than one column {name.lower()}"):
            rows_of(file)


class TestRows:
    """Reading rows out of bytes."""

    def test_the_documented_file_has_three_payments(self) -> None:
        assert rows_of(DOCUMENTED) == [
            ValidRow(2, payment_content("pay_001", 10000, "USD")),
            ValidRow(3, payment_content("pay_002", 5000, "EUR")),
            ValidRow(4, payment_content("pay_003", 7550, "USD")),
        ]

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbfpayment_id,amount,currency\r\npay_1,1.00,USD\r\n",
            b"currency,note,payment_id,amount\nUSD,hello,pay_1,1.00\n",
            b'"payment_id","amount","currency"\n"pay_1","1.00","USD"',
            b"\n\npayment_id,amount,currency\n\n\npay_1,1.00,USD\n   \n",
            b' payment_id , amount,currency,note\npay_1,1,USD,"a, b ""c"""\n',
        ],
        ids=["BOM and CRLF", "order and extra column", "quotes", "blank lines", "quoted comma"],
    )
    def test_a_file_may_be_written_in_many_ways(self, content: bytes) -> None:
        [row] = rows_of(content)
        assert isinstance(row, ValidRow)
        assert row.content == payment_content("pay_1", 100, "USD")

    def test_a_file_may_have_hundreds_of_columns(self) -> None:
        names = [f"column {number}" for number in range(200)]
        header = ",".join([*names, "currency", "amount", "payment_id"])
        row = ",".join([*("x" for _ in names), "USD", "1.00", "pay_1"])
        assert rows_of(f"{header}\n{row}\n".encode()) == [
            ValidRow(2, payment_content("pay_1", 100, "USD"))
        ]

    def test_a_bad_row_does_not_stop_its_neighbours(self) -> None:
        content = (
            b"payment_id,amount,currency\n"
            b"pay_1,1.00,USD\n"
            b"pay 2,-1,usd\n"
            b"pay_3,1,000.00,USD\n"
            b'pay_4,"1.00"x,USD\n'
            b"pay_5\n"
            b"pay_6,1.0055,USD\n"
            b"pay_\x007,1,USD\n"
            b"pay_8,1,USD\n"
        )
        rows = rows_of(content)
        assert [row.line for row in rows if isinstance(row, ValidRow)] == [2, 9]
        assert codes(rows) == {
            3: ["invalid_format", "not_positive", "unknown_currency"],
            4: ["column_count"],
            5: ["unbalanced_quotes"],
            6: ["column_count"],
            7: ["too_many_decimals"],
            8: ["invalid_format"],
        }

    def test_a_line_too_long_is_rejected_alone(self) -> None:
        content = DOCUMENTED + b"x" * (10 * MAX_RECORD_CHARACTERS) + b"\npay_9,1,USD\n"
        rows = rows_of(content, block_bytes=1024)
        assert codes(rows) == {5: ["line_too_long"]}
        assert rows[-1] == ValidRow(6, payment_content("pay_9", 100, "USD"))

    def test_a_file_gives_the_same_rows_wherever_it_is_cut(self) -> None:
        content = (
            "\ufeffcurrency,payment_id,amount,note\r\n"
            "USD,pay_1,1.00,größe\r\n\r\n"
            'EUR,pay_2,2.00,"a, b"\r\n'
            "usd,pay_3,-1,€\r\n"
            "JPY,pay_4,400,last"
        ).encode()
        whole = rows_of(content)
        assert len(whole) == 4
        for size in range(1, len(content) + 2):
            assert rows_of(content, range_bytes=size) == whole
            assert rows_of(content, block_bytes=size) == whole
            assert rows_of(content, range_bytes=size, block_bytes=7) == whole
            assert rows_planned_in_portions(content, most_bytes=size) == whole

    def test_what_is_not_utf_8_is_refused_in_whichever_portion_it_is(self) -> None:
        with pytest.raises(UnreadableFile):
            rows_planned_in_portions(DOCUMENTED + b"pay_4,1,US\xff\npay_5,1,USD\n", most_bytes=10)

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "empty_file"),
            (b"\n\r\n  \n", "empty_file"),
            (b"payment_id,amount\npay_1,1\n", "missing_column"),
            (b"pay_001,100.00,USD\n", "missing_column"),
            (b"payment_id,amount,currency,amount\n", "repeated_column"),
            (b'payment_id,"amount,currency\n', "no_header"),
            (b"x" * (2 * MAX_RECORD_CHARACTERS), "no_header"),
            (DOCUMENTED.replace(b"\n", b"\r"), "no_header"),
            (DOCUMENTED.replace(b",", b";"), "missing_column"),
            ("payment_id,amount,currency\npay_1,1,USD\n".encode("utf-16"), "not_utf8"),
            (DOCUMENTED + b"pay_4,1,USD,\xe9\n", "not_utf8"),
            (DOCUMENTED + b"\xc3", "not_utf8"),
            (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "not_utf8"),
            (b"PK\x03\x04" + bytes(range(256)), "not_utf8"),
        ],
    )
    def test_a_file_that_is_no_csv_of_payments_is_refused_whole(
        self, content: bytes, code: str
    ) -> None:
        for block_bytes in (1, 3, 10**6):
            with pytest.raises(UnreadableFile) as refused:
                rows_of(content, block_bytes=block_bytes)
            assert refused.value.code == code

    @pytest.mark.parametrize(
        ("content", "hint"),
        [
            (DOCUMENTED.replace(b"\n", b"\r"), "end with CR alone"),
            (DOCUMENTED.replace(b"\n", b"\r") * 2000, "end with CR alone"),
            (DOCUMENTED.replace(b",", b";"), "by commas, not by semicolons"),
            (DOCUMENTED.replace(b",", b"\t"), "by commas, not by tabs"),
        ],
    )
    def test_a_refusal_says_what_a_spreadsheet_did_to_the_file(
        self, content: bytes, hint: str
    ) -> None:
        with pytest.raises(UnreadableFile, match=hint):
            rows_of(content)

    def test_a_line_break_within_quotes_belongs_to_the_cell(self) -> None:
        rows = rows_of(
            b"payment_id,amount,currency,memo\n"
            b'p1,10.00,USD,"thanks\nnobody_asked,9999.00,USD,x\nbye"\n'
            b"p2,1,USD,after\n"
        )
        assert rows == [
            ValidRow(2, payment_content("p1", 1000, "USD")),
            ValidRow(5, payment_content("p2", 100, "USD")),
        ]

    def test_text_behind_a_closing_quote_rejects_that_record_alone(self) -> None:
        rows = rows_of(
            b"payment_id,amount,currency,memo\n"
            b'p1,1,USD,"a"b\n'
            b'p2,1,USD,"two\nlines" more\n'
            b'p3,1,USD,"a" \n'
        )
        assert codes(rows) == {2: ["unbalanced_quotes"], 3: ["unbalanced_quotes"]}
        assert [row.raw for row in rows if isinstance(row, RejectedRow)] == [
            'p1,1,USD,"a"b',
            'p2,1,USD,"two\nlines" more',
        ]
        assert rows[-1] == ValidRow(5, payment_content("p3", 100, "USD"))

    @pytest.mark.parametrize("range_bytes", [1, 5, 10**9])
    @pytest.mark.parametrize("block_bytes", [1, 7, 10**9])
    def test_a_carriage_return_alone_brings_no_row_out_of_a_cell(
        self, range_bytes: int, block_bytes: int
    ) -> None:
        rows = rows_of(
            b"payment_id,amount,currency,memo\n"
            b'p1,1,USD,a\r,"b\nnobody_asked,9999.00,USD,x\n"\n'
            b'p2,1,USD,"two\nlines"\rx,"and\nnobody_asked,9999.00,USD,x\n"\n'
            b"p3,1,USD,x\ry\n"
            b" \r \n"
            b"p4,1,USD,after\n",
            range_bytes=range_bytes,
            block_bytes=block_bytes,
        )
        assert codes(rows) == {2: ["line_break"], 5: ["line_break"], 9: ["line_break"]}
        assert isinstance(rows[0], RejectedRow)
        assert rows[0].raw == 'p1,1,USD,a\r,"b\nnobody_asked,9999.00,USD,x\n"'
        assert rows[-1] == ValidRow(11, payment_content("p4", 100, "USD"))
        assert len(rows) == 4

    def test_a_carriage_return_alone_within_quotes_belongs_to_the_cell(self) -> None:
        rows = rows_of(b'payment_id,amount,currency,memo\np1,1,USD,"a\rb"\n')
        assert rows == [ValidRow(2, payment_content("p1", 100, "USD"))]

    def test_a_bare_quote_inside_an_unquoted_cell_is_a_character(self) -> None:
        rows = rows_of(b'payment_id,amount,currency,memo\np1,1,USD,5" pipe\np2,1,USD,x\n')
        assert [row.line for row in rows if isinstance(row, ValidRow)] == [2, 3]

    @pytest.mark.parametrize("block_bytes", [1, 3, 7, 10**6])
    def test_a_quote_that_is_never_closed_refuses_the_file_and_says_where(
        self, block_bytes: int
    ) -> None:
        content = (
            b'payment_id,amount,currency,memo\np1,1,USD,"fine\nhere"\np2,1,USD,"open\np3,1,USD,x\n'
        )
        with pytest.raises(UnreadableFile, match="opened in line 4 is never closed") as refused:
            rows_of(content, block_bytes=block_bytes)
        assert refused.value.code == "unclosed_quote"

    def test_a_record_that_does_not_fit_is_told_raw(self) -> None:
        [row] = rows_of(b"payment_id,currency,amount,note\np1,USD,1,234.56,rent\n")
        assert isinstance(row, RejectedRow)
        assert (row.cells, row.raw) == ((), "p1,USD,1,234.56,rent")

    def test_a_record_over_many_lines_that_is_too_long_hides_no_rows(self) -> None:
        lines = "\n".join(f"evil_{number},9999,USD" for number in range(10_000))
        content = DOCUMENTED.replace(b"currency\n", b"currency,memo\n").replace(b"USD\n", b"USD,\n")
        content = content.replace(b"EUR\n", b"EUR,\n") + f'p1,1,USD,"{lines}"\np9,1,USD,\n'.encode()
        for block_bytes in (1000, 65536, 10**7):
            rows = rows_of(content, block_bytes=block_bytes)
            assert codes(rows) == {5: ["line_too_long"]}
            assert rows[-1] == ValidRow(5 + 10_000, payment_content("p9", 100, "USD"))

    def test_not_even_a_cell_of_many_megabytes_in_one_block_hides_rows(self) -> None:
        cell = b"evil,9999,USD,x\n" * (20 * 2**20 // 16)
        content = b'payment_id,amount,currency,memo\np1,1,USD,"' + cell + b'"\np9,1,USD,\n'
        rows = rows_of(content)
        assert codes(rows) == {2: ["line_too_long"]}
        assert rows[-1] == ValidRow(3 + 20 * 2**20 // 16, payment_content("p9", 100, "USD"))
        assert len(rows) == 2

    def test_a_cell_of_quotes_alone_is_passed_over_without_being_held(self) -> None:
        begun = b"payment_id,amount,currency,memo\np1,1,USD,"
        quotes = [b'"' * 4095] * 256
        tracemalloc.start()
        try:
            plan = plan_file([begun, *quotes, b"\np2,1,USD,x\n"], 10**9, PAYMENTS)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert [part.first_line for part in plan.ranges] == [2]
        assert most < 2**18
        with pytest.raises(UnreadableFile, match="opened in line 2 is never closed"):
            plan_file([begun, *quotes, b'"', b"\np2,1,USD,x\n"], 10**9, PAYMENTS)

    @pytest.mark.parametrize("end", [b'"', b'"\n', b'"""', b'"a\n'])
    def test_a_quote_opened_in_the_last_record_is_named_with_its_line(self, end: bytes) -> None:
        with pytest.raises(UnreadableFile, match="opened in line 5 is never closed"):
            rows_of(DOCUMENTED + b"pay_4,1," + end)

    def test_a_quoted_name_behind_a_byte_order_mark_may_hold_a_comma(self) -> None:
        content = b'\xef\xbb\xbf"a ""b"",c","payment_id","amount","currency"\n,p1,1,USD\n'
        assert rows_of(content) == [ValidRow(2, payment_content("p1", 100, "USD"))]

    def test_a_line_break_in_a_name_behind_a_byte_order_mark_is_told_as_such(self) -> None:
        content = b'\xef\xbb\xbf"no\nte",payment_id,amount,currency\n'
        with pytest.raises(UnreadableFile, match=r"cannot be printed: no\\nte, payment_id"):
            rows_of(content)

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbf\xef\xbb\xbfpayment_id,amount,currency\npay_1,1.00,USD\n",
            "payment_id\u200b,amount,\u00a0currency\npay_1,1.00,USD\n".encode(),
            b"Payment_ID,AMOUNT,Currency\npay_1,1.00,USD\n",
            b'"payment_id", "amount", "currency"\n"pay_1", "1.00", "USD"\n',
            b"sep=,\r\npayment_id,amount,currency\r\npay_1,1.00,USD\r\n",
            b'"sep=,"\r\n"payment_id","amount","currency"\r\n"pay_1","1.00","USD"\r\n',
            b"payment_id,amount,currency\n,,\n , ,\npay_1,1.00,USD\n,,\n",
            b"payment_id,amount,currency\npay_1 ,\t1.00, USD\n",
            b"payment_id,amount,currency\r\r\npay_1,1.00,USD\r\r\n",
            b'payment_id,amount,currency\r\r\npay_1,"1.00",USD\r\r\n',
        ],
        ids=[
            "two byte order marks",
            "invisible characters",
            "capital letters",
            "blanks after commas",
            "sep=,",
            "sep=, in quotes",
            "lines of empty cells",
            "blanks around cells",
            "CR CR LF",
            "CR CR LF with a quoted cell",
        ],
    )
    def test_what_is_only_noise_is_passed_over(self, content: bytes) -> None:
        for block_bytes in (1, 10**6):
            [row] = rows_of(content, block_bytes=block_bytes)
            assert isinstance(row, ValidRow)
            assert row.content == payment_content("pay_1", 100, "USD")

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"payment_id;amount;currency\n", "separated by commas, not by semicolons"),
            (b"sep=;\npayment_id;amount;currency\n", "separated by commas, not by semicolons"),
            (b'"sep=;"\npayment_id;amount;currency\n', "separated by commas, not by semicolons"),
            ("pay\u200bment_id,amount,currency\n".encode(), r"found: pay\\u200bment_id, amount"),
            (b"payment_id,amount,currency," + b"\x01" * 5000 + b"\n", "cannot be printed"),
            (b"payment_id,amount,currency," + b"x" * 9000 + b"\n", "more than 8192 bytes"),
            (
                DOCUMENTED + b"caf\xe9,1,USD\n",
                "line 5 is not UTF-8: byte 85 is 0xE9, which is '\u00e9'".encode().decode(),
            ),
            ("payment_id,amount\n".encode("utf-16"), "looks like UTF-16"),
        ],
    )
    def test_a_refusal_shows_what_was_found(self, content: bytes, told: str) -> None:
        with pytest.raises(UnreadableFile, match=told):
            rows_of(content)

    @pytest.mark.parametrize("blank_lines", [8_150, 8_192, 8_200, 16_300])
    @pytest.mark.parametrize("block_bytes", [97, 4096, 16_370, 16_400, 65_536])
    def test_no_row_is_lost_behind_many_blank_lines(
        self, blank_lines: int, block_bytes: int
    ) -> None:
        rows = rows_of(b"\n" * blank_lines + DOCUMENTED, block_bytes=block_bytes)
        assert [row.line - blank_lines for row in rows] == [2, 3, 4]

    @pytest.mark.parametrize("block_bytes", [97, 4096, 16_370, 16_400, 65_536])
    def test_a_header_that_comes_too_late_is_refused_wherever_blocks_end(
        self, block_bytes: int
    ) -> None:
        with pytest.raises(UnreadableFile, match="no header within its first 16384 bytes"):
            rows_of(b"\n" * 16_370 + DOCUMENTED, block_bytes=block_bytes)

    @pytest.mark.parametrize("block_bytes", [97, 65_536])
    def test_a_header_has_at_most_8_kib(self, block_bytes: int) -> None:
        names = b"payment_id,amount,currency,"
        content = names + b"x" * (8192 - len(names) - 1) + b"\n" + b"p1,1,USD,\n"
        assert rows_of(content, block_bytes=block_bytes) == [
            ValidRow(2, payment_content("p1", 100, "USD"))
        ]
        with pytest.raises(UnreadableFile, match="more than 8192 bytes"):
            rows_of(names + b"\x01" * 65_000 + b"\n", block_bytes=block_bytes)
        with pytest.raises(UnreadableFile, match="more than 8192 bytes"):
            rows_of(content.replace(names, names + b"x"), block_bytes=block_bytes)

    def test_one_byte_of_windows_1252_is_told_with_line_and_place(self) -> None:
        lines = [b"payment_id,amount,currency,memo", *(b"p%d,1,USD,x" % n for n in range(10_000))]
        lines[2] = b"p1,1,USD,caf\xe9"
        with pytest.raises(UnreadableFile, match="line 3 is not UTF-8: byte 55 is 0xE9"):
            rows_of(b"\n".join(lines))

    def test_a_header_alone_is_a_file_without_rows(self) -> None:
        assert rows_of(b"payment_id,amount,currency") == []
