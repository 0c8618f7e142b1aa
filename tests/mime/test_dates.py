"""Dates against CPython's email.utils and calendar, under CPython and in the VM."""

import calendar
import datetime
import email.utils

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable

from picopost.mime import dates  # isort: skip

DAY = (2026, 11, 27)
CASES = [
    # RFC 5322 3.3 and appendix A.5 and A.6
    (b"Fri, 27 Nov 2026 09:55:06 -0600", (*DAY, 9, 55, 6, -360)),
    (b"27 Nov 2026 09:55 +0100", (*DAY, 9, 55, 0, 60)),
    (b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 "
     b"(Newfoundland Time)", (1969, 2, 13, 23, 32, 0, -210)),
    (b"21 Nov 97 09:55:06 GMT", (1997, 11, 21, 9, 55, 6, 0)),
    (b"Fri, 27 Nov 2026 09:55:06 -0000", (*DAY, 9, 55, 6, None)),
    (b"Fri, 27 Nov 26 23:59:60 EST", (*DAY, 23, 59, 60, -300)),
    (b"Fri, 27 Nov 126 9:5:6 A", (*DAY, 9, 5, 6, None)),
    (b"Fri, 27 Nov 126 9:5:6 CEST", (*DAY, 9, 5, 6, 120)),
    (b"Fri, 27 Nov 126 9:5:6 XYZ", (*DAY, 9, 5, 6, None)),
    # What devices write
    (b"Fri Nov 27 09:55:06 2026", (*DAY, 9, 55, 6, None)),
    (b"Fri Nov 27 09:55:06 CET 2026", (*DAY, 9, 55, 6, 60)),
    (b"Nov 27, 2026 9:55:06 PM", (*DAY, 21, 55, 6, None)),
    (b"27 Nov 2026 12:05am", (*DAY, 0, 5, 0, None)), (b"27 November 2026", (*DAY, 0, 0, 0, None)),
    (b"2026-11-27T09:55:06Z", (*DAY, 9, 55, 6, 0)), (b"2026-11-27 09:55", (*DAY, 9, 55, 0, None)),
    (b"2026-11-27T09:55:06.123+01:00", (*DAY, 9, 55, 6, 60)),
    (b"27-Nov-2026 09:55:06 GMT+2", (*DAY, 9, 55, 6, 120)),
    (b"27.11.2026 09:55", (*DAY, 9, 55, 0, None)),
    (b"11/27/2026 09:55", (*DAY, 9, 55, 0, None)), (b"27/11/2026", (*DAY, 0, 0, 0, None)),
    (b"2026/11/27 09:55:06", (*DAY, 9, 55, 6, None)),
    # None
    (b"", None), (b"today", None), (b"31 Feb 2026 09:55", None), (b"29 Feb 2027 0:0", None),
    (b"29 Feb 2028 0:0", (2028, 2, 29, 0, 0, 0, None)), (b"27 Nov 2026 24:00", None),
    (b"27 Nov 2026 13:00 PM", None), (b"27 28 29 Nov", None), (b"27 Nov 2026 1:2:3:4", None),
    (b"0 Nov 2026", None), (b"27 13 2026", None), (b"27 Nov 2026 09:55 +9999", None),
    (b"(((", None), (b"\xff\x00:", None), (b"-", None), (b":", None), (b"--", None),
    (b"1-2-3-", None),
]


@pytest.mark.parametrize("value, date", CASES)
def test_cases(vm, value, date):
    assert dates.parse(value) == date
    assert vm.eval(f"dates.parse({value!r})") == date


MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))


@settings(max_examples=200, deadline=None)
@given(MOMENTS, st.integers(-23 * 60, 23 * 60))
def test_what_cpython_writes_is_read(vm, moment, minutes):
    moment = moment.replace(microsecond=0, tzinfo=datetime.timezone(
        datetime.timedelta(minutes=minutes)))
    value = email.utils.format_datetime(moment).encode()
    read = dates.parse(value)
    assert read == (*moment.timetuple()[:6], minutes)
    assert dates.seconds(read) == calendar.timegm(moment.utctimetuple())
    assert vm.eval(f"dates.seconds(dates.parse({value!r}))") == dates.seconds(read)
    assert dates.parse(moment.isoformat().encode()) == read
    assert dates.parse(moment.ctime().encode()) == (*read[:6], None)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"27", b"Nov", b"2026", b"09:55", b":", b"-", b"+", b"/", b".",
                                 b"T", b"Z", b"am", b" ", b" ", b"(", b")", b"\xe4", b"gmt", b"1",
                                 b"+01"]),
                max_size=12).map(b"".join))
def test_nothing_is_raised_and_the_vm_says_the_same(vm, value):
    assert vm.eval(f"dates.parse({value!r})") == dates.parse(value)
