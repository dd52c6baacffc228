from batchflow.local.job.prefix_affinity import STEPS, Readers, marks

SYSTEM = b"You are helpful. " * 50  # 850 bytes
PICTURE = b"iVBORw0KGgo" * 3000  # 33 kB


def common(one: bytes, other: bytes) -> int:
    return len(set(marks(one)) & set(marks(other)))


def test_prompts_share_the_marks_of_what_they_have_in_common():
    assert common(b"a", b"b") == 0
    assert common(SYSTEM + b"a", SYSTEM + b"b") == 1  # 512 bytes
    assert common(SYSTEM + PICTURE + b"a", SYSTEM + PICTURE + b"b") == 7  # 512 bytes ... 32 KiB
    assert marks(SYSTEM) == marks(bytes(SYSTEM))


def test_the_whole_prompt_is_the_first_mark_and_the_longest_beginning_the_next():
    assert marks(PICTURE)[0] != marks(PICTURE + b"a")[0]
    assert marks(PICTURE)[1:] == marks(PICTURE + b"a")[1:]
    assert marks(PICTURE[: STEPS[2]])[0] == marks(PICTURE)[-3]  # one prompt may be another's beginning


def test_a_prompt_without_end_has_no_more_marks_than_steps():
    assert len(marks(PICTURE * 10)) == len(STEPS)
    assert marks(PICTURE * 10) == marks(PICTURE * 11)


def test_the_longest_known_beginning_says_who_has_read_it():
    readers = Readers()
    readers.note((30, 20, 10), 1)
    readers.note((31, 21, 10), 2)
    assert readers.of((30, 20, 10)) == 1
    assert readers.of((99, 21, 10)) == 2
    assert readers.of((99, 98, 10)) == 3
    assert readers.of((99, 98)) == 0


def test_what_was_not_met_for_longest_is_forgotten():
    readers = Readers(kept=3)
    for mark in (1, 2, 3, 1, 4):
        readers.note((mark,), 1)
    assert [readers.of((mark,)) for mark in (1, 2, 3, 4)] == [1, 0, 1, 1]
