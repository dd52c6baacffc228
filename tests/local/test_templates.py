import pytest

from batchflow.errors import UsageError
from batchflow.local import templates


@pytest.mark.parametrize("name", ["r1", "qwen", "internthinker", "chatml"])
def test_the_built_in_templates_hold_the_text_and_stop_somewhere(name):
    template = templates.load(name)
    assert template.render("", "a {system} {input} b").count("a {system} {input} b") == 1
    assert template.stop


def test_a_system_text_goes_to_its_place_or_in_front():
    assert templates.load("qwen").render("SYS", "U").startswith("<|im_start|>system\nSYS<|im_end|>")
    assert "You are a helpful assistant." in templates.load("qwen").render("", "U")
    assert "SYS\n\nU" in templates.load("chatml").render("SYS", "U")


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('prompt = "<u>{input}<a>"\nstop = ["</a>"]\n')
    assert templates.load(str(path)).render("", "x") == "<u>x<a>"
    for text in ('prompt = "no place"', "stop = []", "not toml", "prompt = '{input}'\nstop = 5"):
        path.write_text(text)
        with pytest.raises(UsageError, match="mine"):
            templates.load(str(path))
