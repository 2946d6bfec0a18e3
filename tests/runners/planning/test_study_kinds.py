"""Study files of every odd kind: what YAML can hold beside a study is refused in one line that names file and field."""

import os
import re
import socket
import stat
from pathlib import Path

import pytest

from aggregation_lab.config import TrainingConfig
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.data.subjects import regular_expressions
from aggregation_lab.data.subjects.regular_expressions import Expression
from aggregation_lab.errors import DataError, ModelError, StudyError
from runners.planning import plan as planning
from runners.planning.encoder_names import dinov3_weights, encoder_fault, known_encoders
from runners.planning.plain_yaml import plain_scalar
from runners.planning.plan import plan_runs
from runners.planning.study_file import faults_in, find_study, parse_study, read_study_file
from tests.fuzzing import in_time
from tests.tiny import write_study


def refusal(file: Path) -> str:
    """The only line of the error of a study file, without the file's name, with which it begins."""
    with in_time(), pytest.raises(StudyError) as caught:
        read_study_file(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: ") and "\n" not in text and text.isprintable()
    return text.removeprefix(f"{file}: ")


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "study.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


FIELDS = {
    "aggregations: [TS, [CG]]": "aggregations: holds",
    "aggregations: [3]": "aggregations: holds 3",
    "aggregations: {mine: {a: [[b]]}}": "aggregations.mine.a.0: got ['b'], it takes text",
    "aggregations: {mine: {}}": "aggregations: mine has no units",
    "aggregations: {mine: {a: []}}": "aggregations: mine.a: has no task",
    "aggregations: {mine: {a: [b, b]}}": "aggregations: mine: task b stands in a and in a",
    "aggregations: {mine: {a: [b], c: [b]}}": "aggregations: mine: task b stands in a and in c",
    "aggregations: {mine: {'': [b]}}": "aggregations.mine.: '' is no name; write a name",
    "aggregations: {mine: {../up: [b]}}": "aggregations.mine.../up: '../up' is no name; it reads as a path",
    "aggregations: {mine: {..: [b]}}": "aggregations.mine...: '..' is no name; it reads as a path",
    "aggregations: {mine: {a: [b], ' a': [c]}}": "aggregations.mine: has a twice; keep one",
    "aggregations: {Floor: {a: [b]}}": "aggregations: Floor is the name of the trivial predictors",
    "aggregations: {TS: {a: [b]}}": "aggregations: TS is defined already",
    "aggregations: {Au: {a: [b]}}": "aggregations: Au differs from AU in capitals alone",
    "aggregations: {mine: {a: [b]}, Mine: {a: [b]}}": "aggregations: Mine differs from mine in capitals alone",
    "data: {groups: {a: 5}}": "data.groups.a: got 5, it takes text; put it in quotes",
    'data: {groups: {a: "x\\u200by"}}': "data.groups.a: 'x\\\\u200by' is no name; take out the invisible",
    "data: {groups: {a: " + 201 * "g" + "}}": "data.groups.a: 'ggg",
    "data: {tasks: [a, b, a]}": "data.tasks: has the same value twice (a)",
    "data: {tasks: []}": "data.tasks: got [], it takes at least one entry",
    "data: {laterality: [a, a]}": "data.laterality: has the same value twice (a)",
    "data: {shares: [0.5, 0.5]}": "data.shares.2: is missing",
    "data: {shares: [1.0e+400, 0.5, 0.5]}": "data.shares.0: got inf, it takes a finite number",
    "data: {split_seed: 4294967296}": "data.split_seed: got 4294967296, it takes less than 4294967296",
    "data: {phantoms: {tasks: [lungs]}}": "data.phantoms: tasks holds unknown task lungs; did you mean lung?",
    "data: {phantoms: {minimum: 9, maximum: 8}}": "data.phantoms: minimum is 9 but maximum 8",
    "data: {subjects: {a: '(b'}}": "data.subjects: a: '(b' is no regular expression",
    "data: {subjects: {a: '[[b]c]'}}": "data.subjects: a: '[[b]c]' is no regular expression",
    "data: {subjects: {a: 'b{1,99999999999999999999}'}}": "data.subjects: a: ",
    "data: {subjects: {a: '" + 501 * "b" + "'}}": "data.subjects: a: has 501 characters",
    "data: {root: ~nobody-of-this-name/x}": "data.root: ~nobody-of-this-name/x is no usable path",
    "data: {root: ''}": "data.root: got '', it takes",
    "data: {root: " + 5000 * "x" + "}": "data.root: xxx",
    "data: {root: $DATA_OF_MINE/x}": "data.root: $DATA_OF_MINE/x does not exist; variables of the environment",
    "data: {split: /dev/zero}": "data.split: /dev/zero is no regular file",
    "model: {weights: /dev/zero}": "model.weights: /dev/zero is no regular file",
    "model: {weights: /}": "model.weights: / is no regular file",
    "model: {encoder: vit_smal_patch16_dinov3}": "model.encoder: unknown encoder 'vit_smal_patch16_dinov3'",
    "model: {encoder: resnet50}": "model.moe.experts: 4, but resnet50 is no plain ViT",
    "model: {encoder: vit_small_patch16_dinov3.mine}": "model.encoder: vit_small_patch16_dinov3 has no weights 'mine'",
    "model: {moe: {blocks: 13}}": "model.moe.blocks: 13, but vit_small_patch16_dinov3 has 12 blocks",
    "model: {moe: {experts: 7}}": "model.moe.experts: 7 does not divide the encoder's 1536 hidden units",
    "model: {encoder: vit_7b_patch16_dinov3}": "model.moe: vit_7b_patch16_dinov3 has gated FFNs",
    "model: {head_width: 1000000}": "model.head_width: got 1000000, it takes less than or equal to 4096",
    "fractions: [0.5, .nan]": "fractions.1: got nan, it takes a finite number",
    "fractions: [0.5, 5.0e-1]": "fractions: has the same value twice (0.5)",
    "fractions: [" + 101 * "1," + "]": "fractions: has too many entries",
    "fractions: [0.12345678]": "fractions.0: 0.12345678 has more than six digits; write 0.123457",
    "data: {groups: {a: x, ' a': y}}": "data.groups: has a twice; keep one",
    "margins: {a: 0.1, 'a ': 0.2}": "margins: has a twice; keep one",
    "fractions: 0.5": "fractions: got 0.5, it takes a list",
    "seeds: 1000000000": "seeds: takes 1000 seeds at most",
    "seeds: [1, 1]": "seeds: has the same value twice (1)",
    "seeds: [-1]": "seeds.0: got -1",
    "seeds: []": "seeds: got [], it takes at least one entry",
    "seeds: 1:30:00": "seeds: got '1:30:00', it takes a number of seeds",
    "seeds: 010": "seeds: got '010', it takes a number of seeds",
    "seeds: true": "seeds: got True, it takes a number of seeds",
    "seeds: 2.0": "seeds: got 2.0, it takes a number of seeds",
    "seeds: " + 5000 * "9": "seeds: got inf, it takes",
    "training: {batch_size: 1_0}": "training.batch_size: got '1_0', it takes a valid integer",
    "training: {batch_size: '8'}": "training.batch_size: got '8', it takes a valid integer",
    "training: {batch_size: 0x10}": "training.batch_size: got '0x10', it takes a valid integer",
    "training: {batch_size: 8:00}": "training.batch_size: got '8:00', it takes a valid integer",
    "training: {batch_size: true}": "training.batch_size: got True, it takes a valid integer",
    "training: {batch_size: -4}": "training.batch_size: got -4, it takes greater than or equal to 1",
    "training: {batch_size: 1000000000}": "training.batch_size: got 1000000000, it takes less than",
    "training: {augment: no}": "training.augment: got 'no', it takes true or false",
    "training: {augment: 1}": "training.augment: got 1, it takes true or false",
    "training: {compile: on}": "training.compile: got 'on', it takes true or false",
    "training: {learning_rate: .inf}": "training.learning_rate: got inf, it takes a finite number",
    "training: {learning_rate: -.Inf}": "training.learning_rate: got -inf, it takes a finite number",
    "training: {weight_decay: .NaN}": "training.weight_decay: got nan, it takes a finite number",
    "training: {passes: 1e300}": "training.passes: got 1e+300, it takes less than or equal to 1000000",
    "training: {passes: 0}": "training.passes: got 0, it takes greater than 0",
    "training: {image_size: 1000000}": "training.image_size: got 1000000, it takes less than or equal to 1024",
    "training: {loss_weights: {a: 0}}": "training: loss_weights.a is 0; a weight is greater than 0",
    "training: {loss_weights: {a: '2'}}": "training.loss_weights.a: got '2', it takes a valid number",
    "margins: {default: 5}": "margins.default: got 5, it takes less than 1",
    "margins: {default: .nan}": "margins.default: got nan, it takes a finite number",
    "margins: [0.1]": "margins: got [0.1], it takes fields",
    "budgett: small": "budgett: unknown field; did you mean budget?",
    '"margins\\u0020": 3': "margins : unknown field; did you mean margins?",
    "null: 3": "null: unknown field",
    "slurm: {partitions: gpu}": "slurm.partitions: unknown field; did you mean partition?",
    "slurm: {setup: [module load x]}": "slurm.setup: unknown field",
    "slurm: {hours: 1e9}": "slurm.hours: got 1000000000.0, it takes less than",
    "slurm: {memory_gb: 1.0e-9}": "slurm.memory_gb: got 1e-09, it takes greater than or equal to 0.1",
    "slurm: {directives: {wrap: sleep 9}}": "slurm.directives: wrap is no option of sbatch that a study may set",
    "slurm: {directives: {acount: lab}}": "slurm.directives: acount is no option of sbatch that a study may set; "
    "did you mean account?",
    "slurm: {directives: {mail-type: END, mail_type: ALL}}": "slurm.directives: mail-type stands twice",
    "slurm: {directives: {'account=x --wrap': y}}": "slurm.directives: account=x --wrap is no option",
    "slurm: {directives: {account: $(id)}}": "slurm.directives.account: is '$(id)'",
    "slurm: {directives: {account: `id`}}": "line 2: ",
    "slurm: {directives: {account: '`id`'}}": "slurm.directives.account: is '`id`'",
    "slurm: {directives: {account: 'a\"b'}}": "slurm.directives.account: is 'a\"b'",
    "slurm: {directives: {account: [a]}}": "slurm.directives.account: takes text, a number, or true",
    "slurm: {directives: {account: ' a'}}": "slurm.directives.account: is ' a'",
    "slurm: {partition: a b}": "slurm.partition: is 'a b'",
    "slurm: {partition: 'x;id'}": "slurm.partition: is 'x;id'",
}


@pytest.mark.parametrize(("text", "message"), FIELDS.items(), ids=range(len(FIELDS)))
def test_a_field_that_cannot_be_meant_is_named(tmp_path, text, message):
    assert refusal(written(tmp_path, f"name: x\n{text}\n")).startswith(message)


FILES = {
    "empty": ("", "holds nothing"),
    "a word": ("study", "holds 'study'"),
    "a list": ("[1, 2]", "holds [1, 2]"),
    "a tag": ('name: !!int "x"', "line 1: the tag !!int is not taken"),
    "a binary tag": ("name: !!binary aGk=", "line 1: the tag !!binary is not taken"),
    "a tag of its own": ("name: x\nseeds: !mine 3", "line 2: the tag !mine is not taken"),
    "deep lists": (f"name: {300 * '['}", "line 1: lists and fields are nested deeper than"),
    "deep fields": (f"name: {300 * '{a: '}", "line 1: lists and fields are nested deeper than"),
    "deep dashes": (300 * "- ", "line 1: lists and fields are nested deeper than"),
    "itself": ("name: &a [*a]", "line 1: *a stands inside of what it repeats"),
    "no such alias": ("name: *a", "line 1: found undefined alias 'a'"),
    "a merge key": ("a: &a {b: 1}\nc:\n  <<: *a", "line 3: the merge key << is not taken"),
    "a list as a key": ("? [a]\n: b", "line 1: a list or fields stand where a name belongs"),
    "twice": ("name: x\n'name': y", "line 2: name stands twice"),
    "twice below": ("name: x\nmargins: {a: 0, a: 1}", "line 2: a stands twice"),
    "a tab": ("name: x\ndata:\n\troot: y", "line 3: a tab; indent with blanks"),
    "two documents": ("name: x\n---\nname: y\n", "line 2: a second document begins"),
    "a line break": ('name: x\nslurm: {partition: "a\\n#SBATCH --wrap=b"}', "line 2: a text holds a line break"),
    "a block": ("name: |\n  x\n  y\n", "line 1: a text holds a line break"),
    "a break in a key": ('name: x\nslurm: {directives: {"a\\nid": b}}', "line 2: a text holds a line break"),
    "a NUL": ('name: x\ndata: {root: "a\\0b"}', "line 2: a text holds the character \\x00"),
    "half a character": ('name: "\\ud800"', "line 1: a text holds the character \\ud800"),
    "no character": ('name: "\\U00110000"', "an escape or a directive is not valid"),
    "open quotes": ("name: 'x", "line 1: found unexpected end"),
    "bare bytes": (b"name: x\nseeds: \0\0", "line 2: holds the character U+0000"),
    "Latin-1": ("# étude\nname: x\n# même".encode("latin-1"), "line 1: is not UTF-8"),
    "UTF-16 without its mark": ("name: x".encode("utf-16-le"), "line 1: holds the character U+0000"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line 1: is not UTF-8"),
    "large": (b"#" * 300_000, "is larger than 256 kB"),
    "many values": ("fractions: [" + 30_000 * "1," + "]", "line 1: the file holds more than 20000 values"),
}


@pytest.mark.parametrize(("text", "message"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_study_is_named(tmp_path, text, message):
    assert refusal(written(tmp_path, text)).startswith(message)


def test_aliases_that_multiply_are_refused(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for name, former in zip("bcdefghij", "abcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(9 * [f'*{former}'])}]")
    assert "more than 20000 values, repeated ones counted" in refusal(written(tmp_path, "\n".join(lines)))


def test_many_faults_are_told_up_to_a_number(tmp_path):
    file = written(tmp_path, "name: x\nmargins:\n" + "".join(f"  task_{number}: 7\n" for number in range(9000)))
    with in_time(), pytest.raises(StudyError) as caught:
        read_study_file(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21 and lines[-1] == f"{file}: and 8980 more faults"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"), ("0o10", "0o10"), ("1_000", "1_000"), ("0x1F", "0x1F"), ("12:30:45", "12:30:45"),
        ("2020-13-45", "2020-13-45"), ("2020-11-05", "2020-11-05"), ("yes", "yes"), ("No", "No"), ("off", "off"),
        ("y", "y"), ("1e-3", 1e-3), ("-0.5", -0.5), (".5", 0.5), ("5.", 5.0), ("+7", 7), ("0", 0), ("-0", 0),
        ("true", True), ("FALSE", False), ("~", None), ("", None), ("e5", "e5"), (".", "."), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_words_mean_what_they_mean_in_yaml_1_2(text, value):
    read = plain_scalar(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "name: 2020-13-45", "name: 0x1F", "name: 12.5.1", "name: no", "---\nname: x\n...\n", "name: x # é",
        "name: x\nseeds: &s [1, 2]\nfractions: [0.5]\n", "name: x\ndata: {groups: &g {010: no, null: yes, 5: '5'}}",
        "name: x\nfractions: &f [0.5, 1]\nseeds: [3]\nmargins: {a: 1e-2}",
        "name: x\nslurm: {directives: {comment: a b (c) 100%, nice: 7, exclusive: true}}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_is_certain_is_read(tmp_path, text, encoding):
    assert read_study_file(written(tmp_path, text.encode(encoding))).name


def test_keys_are_text_as_they_are_written(tmp_path):
    study = read_study_file(written(tmp_path, "name: x\ndata: {groups: {010: no, 1_0: 'yes', 5: '05'}}"))
    assert study.data.groups == {"010": "no", "1_0": "yes", "5": "05"}


def test_names_have_one_form_wherever_they_stand(tmp_path):
    two = "fœtale\u0301"
    text = f"name: x\ndata: {{groups: {{{two}: ' {two}\u00a0b '}}, tasks: [{two}, b]}}\nmargins: {{{two}: 0.1}}"
    study = read_study_file(written(tmp_path, f"{text}\naggregations: {{mine: {{{two}: [{two}, b]}}}}"))
    one = "fœtal\u00e9"
    assert study.data.groups == {one: f"{one} b"} and study.data.tasks == (one, "b")
    assert study.margins == {one: 0.1} and study.aggregations == {"mine": {one: (one, "b")}}


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    pipe, link, dead = tmp_path / "pipe", tmp_path / "link", tmp_path / "dead"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    dead.symlink_to(tmp_path / "nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for odd in (pipe, link, tmp_path, tmp_path / "socket", Path("/dev/zero")):
            assert refusal(odd) == "is no regular file; give a study file"
            with in_time(), pytest.raises(StudyError, match="model.weights: .* is no regular file"):
                read_study_file(write_study(tmp_path / "s.yaml", model={"weights": str(odd)}))
            if not odd.is_dir():
                with in_time(), pytest.raises(StudyError, match="data.split: .* is no regular file"):
                    read_study_file(write_study(tmp_path / "s.yaml", data={"split": str(odd)}))
    assert refusal(dead).startswith("cannot be read")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    "name", ["", " ", "~nobody-of-this-name/s.yaml", "a\0b", "a\nb.yaml", "x" * 5000, "$HOME/s.yaml"]
)
def test_study_arguments_that_are_no_path(name):
    with pytest.raises(StudyError) as caught:
        find_study(name)
    assert str(caught.value).isprintable()


def test_a_circle_of_links_is_no_study(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(StudyError, match="STUDY: .*a is no usable path|no such study file"):
        find_study(str(tmp_path / "a"))


def test_encoders_are_those_of_timm():
    import timm

    # tests in this process may have made networks known that are not timm's
    own = [name for name in timm.list_models() if timm.model_entrypoint(name).__module__.startswith("timm.")]
    assert known_encoders() == tuple(sorted(own))
    pretrained = {f"{name}.{tag}" for name, tags in dinov3_weights().items() for tag in tags}
    assert pretrained == set(timm.list_models("vit_*dinov3*", pretrained=True))


@pytest.mark.parametrize(
    "model",
    [
        {"encoder": "vit_tiny_patch16_dinov3_qkvb", "moe": {"experts": 7}},
        {"encoder": "vit_tiny_patch16_dinov3_qkvb", "moe": {"blocks": 13}},
        {"encoder": "vit_small_plus_patch16_dinov3", "moe": {"experts": 2}},
        {"encoder": "vit_tiny_patch16_dinov3_qkvb", "moe": {"blocks": 12, "experts": 4}},
        {"encoder": "vit_small_plus_patch16_dinov3", "moe": {"experts": 0}},
        {"encoder": "resnet18"},
        {"encoder": "resnet18", "moe": {"experts": 0}},
        {"encoder": "levit_128s", "moe": {"experts": 0}},
        {"encoder": "vit_tiny_patch16_224"},
        {"encoder": "vit_tiny_patch16_224.no_such_weights"},
        {"encoder": "eva02_tiny_patch14_224"},
    ],
)
def test_the_plan_refuses_the_models_that_cannot_be_built(model):
    from aggregation_lab.model.m2dino import build_m2dino

    config = parse_study({"name": "x", "model": model}, "s").model
    try:
        build_m2dino(config, ())
        fault = None
    except ModelError as error:
        fault = str(error)
    assert encoder_fault(config, TrainingConfig()) == fault or config.encoder.count("dinov3")
    assert (encoder_fault(config, TrainingConfig()) is None) == (fault is None)


ENDLESS = [r"(k|kk)+\d$", r"((k{1,20}){1,20}){1,20}$", r"([a-z]|[k-m])+\d$", r"((?:k|kk)(?:k|kk|kkk))+\1#"]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_subject_rule_that_never_ends_is_named(tiny_data, pattern, monkeypatch):
    monkeypatch.setattr(regular_expressions, "SECONDS", 0.1)
    table = next((tiny_data / "train" / "csv_files").glob("Cls-Two_1*"))
    folder = next(path for path in (tiny_data / "train").rglob("kind 00.png")).parent
    long = "k" * 120 + "!"
    (folder / "kind 00.png").rename(folder / f"{long}.png")
    table.write_text(table.read_text().replace("kind 00", long))
    with in_time(), pytest.raises(DataError) as caught:
        read_dataset(tiny_data, subjects={"Kinds*": pattern})
    (problem,) = (problem for problem in caught.value.problems if "without end" in problem.message)
    assert (problem.file, problem.field) == ("subjects", "Kinds*")


def test_an_expression_finds_what_re_finds():
    for pattern in (r"([^/]+)_[^/_]*$", r"(?i)p(\d+)", r"(?P<a>x)(?P=a)", r"^[^-]+", r"(?:a|b)*c"):
        for text in ("a/P12_3.png", "xx-1", "abac", "Ünï_x", ""):
            ours, theirs = Expression(pattern).search(text), re.search(pattern, text)
            assert (ours and ours.group(0)) == (theirs and theirs.group(0))


def plan(dataset, **changes):
    with faults_in(Path("my.yaml")):
        return plan_runs(parse_study({"name": "x"} | changes, "s"), dataset, draw_folds(dataset, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aggregations": {"mine": {"a": ["tiny_kind"]}}}, "my.yaml: aggregations.mine: misses task tiny_head"),
        ({"margins": {"tiny_knd": 0.1}}, "my.yaml: margins: unknown task tiny_knd; did you mean tiny_kind?"),
        ({"margins": {"a\nb": 0.1}}, r"my.yaml: margins: unknown task a\\nb; the study has"),
        ({"model": {"weights": "/nowhere/w.pt"}}, "my.yaml: model.weights: /nowhere/w.pt cannot be read"),
    ],
)
def test_studies_that_do_not_fit_the_data_are_named(tiny_original, change, message):
    dataset = read_dataset(tiny_original, groups=change.get("data", {}).get("groups"))
    with pytest.raises(StudyError, match=message) as caught:
        plan(dataset, **change)
    assert str(caught.value).isprintable()


def test_more_runs_than_anybody_can_train_are_refused_before_they_are_listed(tiny_dataset, monkeypatch):
    monkeypatch.setattr(planning, "MOST_RUNS", 26)
    assert len(plan(tiny_dataset, seeds=2)) == 10
    with pytest.raises(StudyError, match="my.yaml: fractions, seeds: make 27 runs, 26 are the most"):
        plan(tiny_dataset, seeds=3)


def test_a_group_may_be_named_like_a_task(tiny_original):
    groups = {"tiny_head": "tiny_kind", "tiny_kind": "tiny_head"}
    runs = plan(read_dataset(tiny_original, groups=groups), data={"groups": groups})
    assert len({run.id for run in runs}) == len({run.folder_name for run in runs}) == len(runs)
