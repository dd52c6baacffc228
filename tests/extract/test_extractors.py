from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.extract import registry
from batchflow.extract.chain import chain
from batchflow.records import Item

ITEM = Item("1", "", {})
FOUR = Item("1", "", {}, options=("Paris", "Rome", "A. Lincoln", "none of these"))
ALL = (
    "strip_thoughts",
    "base_model_cut",
    "boxed",
    "code_fence",
    "json_field:answer",
    "last_number",
    "option_letter",
    r"regex:is (\w+)",
)


def extracted(spec: str, text: str, item: Item = ITEM) -> str | None:
    return chain([spec]).read(text, item).value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It is 42.", "42"),
        ("**42**", "42"),
        ("x=-5", "-5"),
        ("\u22125", "-5"),
        ("$1,234.50.", "1234.50"),
        (r"\boxed{1{,}234}", "1234"),
        ("18 g of H2O", "18"),
        ("10km, or 5 m²", "5"),
        ("12 %", "12"),
        ("3/4", "3/4"),
        (r"so \frac{3}{4}", "3/4"),
        ("3.2 × 10^{5}", "3.2e5"),
        # What is no number by itself is not taken apart.
        ("3 to 10-12", None),
        ("on 2024-05-06", None),
        ("1, at 12:30", None),
        ("1.234,5", None),
        ("0,125", None),
        ("12 300", None),
        ("1 1/2", None),
        ("1½", None),
        ("2^10", None),
        (r"3\sqrt{2}", None),
        ("5 million", None),
        ("10k", None),
        ("1,2,3", None),
        ("٣", None),
        ("twelve", None),
    ],
)
def test_the_last_number_is_a_whole_one_or_none(text, number) -> None:
    assert extracted("last_number", text) == number


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("**B**", "B"),
        ("Answer: B.", "B"),
        ("The answer is (B) because Paris is smaller.", "B"),
        ("The correct answer is **B**", "B"),
        ("B) Rome", "B"),
        ("B. Rome\n\nIt is older.", "B"),
        ("rome", "B"),
        ("A. Lincoln", "C"),
        (r"Thus \boxed{\text{B}}.", "B"),
        ("[[B]]", "B"),
        ("A is wrong. B is correct.", "B"),
        ("It is not A, so the answer is B", "B"),
        ("A) Paris is too far north.\nB) Rome fits.\nThe answer is B.", "B"),
        # Articles and pronouns are no letters.
        ("The answer is a city in Italy.", None),
        ("A city in Italy", None),
        ("I think so", None),
        # A letter that is no option, two letters, and sentences that state nothing.
        ("The answer is E.", None),
        ("E", None),
        ("The answer is A or B.", None),
        ("The answer is A. No wait, the answer is B.", None),
        ("A) Paris\nB) Rome\nC) A. Lincoln", None),
        ("A) Rome", None),
        ("The answer is not B.", None),
        ("I do not think that the answer is B.", None),
        ("Could the answer be B?", None),
        ("Is the answer: B, or something else?", None),
        ("If the answer is B, the train is late.", None),
        ("Option B is incorrect.", None),
        ("The answer is Б.", None),
        ("As a judge, I like this.", None),
        ("", None),
    ],
)
def test_an_option_is_chosen_once_and_clearly(text, letter) -> None:
    assert extracted("option_letter", text, FOUR) == letter
    assert extracted("option_letter", text, ITEM) is None


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"\boxed{42}", "42"),
        (r"first \boxed{1}, then \boxed{\frac{3}{4}}", r"\frac{3}{4}"),
        (r"\boxed{ a\}b }", r"a\}b"),
        (r"\boxed {x}", "x"),
        (r"\boxed{1} and \boxed{2", None),  # the last one was cut off; the first is not what it would have said
        (r"\boxed{}", None),
        ("boxed{42}", None),
    ],
)
def test_the_last_box_counts_with_its_braces_balanced(text, box) -> None:
    assert extracted("boxed", text) == box


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("See:\n```python\nprint(1)\n```\nDone.", "print(1)"),
        ("~~~\na\n```\nb\n~~~", "a\n```\nb"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        ("```\r\nx\r\n```", "x"),
        ("```\nx\n```\n```\nx\n```", "x"),
        ("```\nx\n```\n```\ny\n```", None),
        ("```\nx", None),
        ("```\n```", None),
        ("no block", None),
    ],
)
def test_a_text_has_one_fenced_block(text, block) -> None:
    assert extracted("code_fence", text) == block


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"answer": "42"}', "42"),
        ('```json\n{"answer": 42}\n```', "42"),
        ('{"answer": [1, "é"]}', '[1, "é"]'),
        ('{"answer": true}', "true"),
        ('{"answer": null}', None),
        ('{"answer": "a", "answer": "b"}', None),
        ('{"answer": NaN}', None),
        ('{"answer": "\\ud800"}', None),
        ('The candidate wrote {"answer": "42"}', None),
        ('["answer"]', None),
        ("[" * 100_000, None),
        ('{"answer": ' + "[" * 100_000, None),
        ('{"answer": ' + "9" * 10_000 + "}", None),
    ],
)
def test_a_field_of_the_object_that_the_text_is(text, value) -> None:
    assert extracted("json_field:answer", text) == value


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" Paris\n\n\nQuestion: Who?\nAnswer: Nobody", "Paris"),
        ("Paris\nQuestion: Who?", "Paris"),
        ("Paris\n\nQ: Who?\nA: Nobody", "Paris"),
        ("A: Paris\n\nQ2. Who?", "Paris"),
        ("Paris\n### Instruction: go on", "Paris"),
        ("The question: who knows?", "The question: who knows?"),
        ("First.\n\nThen.", "First.\n\nThen."),
        ("\n\nQuestion: Who?", None),
        ("...\nQuestion: Who?", None),
    ],
)
def test_what_a_base_model_adds_is_cut(text, kept) -> None:
    assert extracted("base_model_cut", text) == kept


def test_an_option_ends_at_a_blank_line() -> None:
    assert extracted("base_model_cut", " B\n\nThis is why", FOUR) == "B"
    assert extracted("base_model_cut,option_letter", " B\n\nQuestion: next?\nA. yes", FOUR) == "B"


def test_a_chain_says_which_step_found_nothing() -> None:
    read = chain(["boxed,last_number"]).read
    assert read(r"7 so \boxed{about 42}", ITEM) == ("42", None)
    assert read("42", ITEM) == (None, "boxed found nothing")
    assert read(r"\boxed{x}", ITEM) == (None, "last_number found nothing")
    assert chain([]).read(" as it is ", ITEM) == ("as it is", None)
    assert chain([]).read(" ", ITEM) == (None, "the answer is empty")


def test_a_pattern_goes_to_the_end_of_its_specification() -> None:
    long = chain([r"code_fence, regex:x{1,3}=(\d+)", "last_number"])
    assert long.names == ("code_fence", r"regex:x{1,3}=(\d+)", "last_number")
    assert long.read("```\nxx=12\n```", ITEM).value == "12"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("boxd", "boxed is the nearest"),
        ("boxed,", "a name is missing"),
        (",boxed", "a name is missing"),
        ("boxed:x", "takes no argument"),
        ("json_field", "needs the field's name"),
        ("regex:", "needs a pattern"),
        ("regex:(", "cannot be used"),
        (r"regex:(a)\1", "back-references"),
        ("regex:(?=a)", "look-around"),
        ("regex:a++", "possessive"),
        ("regex:(((a{99}){99}){99})", "repeats too much"),
        (",".join(["boxed"] * 9), "at most 8"),
    ],
)
def test_a_bad_specification_is_refused(spec, said) -> None:
    with pytest.raises(UsageError) as caught:
        chain([spec])
    assert said in f"{caught.value} {caught.value.hint}"


TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="AB1.,/\\{}()[]`~ \n:*-^x½\ud800", max_size=200),
    st.lists(
        st.sampled_from(
            ["\\boxed{", "}", "answer is ", "A", "b", "(", ")", "\n\n", "Question:", "```", "12", ",", "{", '"']
        ),
        max_size=30,
    ).map("".join),
)


def is_number(value: str) -> bool:
    return all(char in "0123456789.-/e" for char in value) and any(char.isdigit() for char in value)


@given(text=TEXTS, spec=st.sampled_from(ALL))
def test_no_text_breaks_an_extractor(text, spec) -> None:
    for item in (ITEM, FOUR):
        value = extracted(spec, text, item)
        assert value is None or (value.strip() and value.encode())
        assert extracted(spec, text, item) == value
        if value is not None and spec in {"boxed", "code_fence", "base_model_cut"}:
            assert value in text.replace("\r\n", "\n")
        if value is not None and spec == "option_letter":
            assert value in "ABCD"[: len(item.options)]
        if value is not None and spec.startswith("regex"):
            assert value in text
        if value is not None and spec == "last_number":
            assert is_number(value)
            assert {char for char in value if char.isdigit()} <= {char for char in text if char.isdigit()}


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize(
    "unit", ["(", "A", "a ", "\\boxed{", "{", "```\n", "Question:", "answer is ", "1,", "1 ", "*", "\n", " ", "is "]
)
def test_a_long_text_takes_no_long_time(spec, unit) -> None:
    from time import process_time

    before = process_time()
    extracted(spec, unit * (100_000 // len(unit)), FOUR)
    assert process_time() - before < 8


def test_the_names_are_the_modules_own() -> None:
    assert {name: module.NAME for name, module in registry.EXTRACTORS.items()} == {n: n for n in registry.EXTRACTORS}


def test_thoughts_are_left_out_of_what_is_judged() -> None:
    assert extracted("strip_thoughts,last_number", "<think>41?</think>It is 42.") == "42"
    assert chain(["strip_thoughts"]).read("<think>41?", ITEM) == (None, "strip_thoughts found nothing")
