from tracker.web.memo import Memo


def test_the_oldest_value_goes_when_there_is_no_room() -> None:
    memo: Memo[str, int] = Memo(2)
    for number, key in enumerate("abc"):
        memo.keep(key, number)
    assert (memo.get("a"), memo.get("b"), memo.get("c"), len(memo)) == (None, 1, 2, 2)
