"""The panel of a jury: from --judges, from the pool in the settings, or of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from batchflow.errors import UsageError
from batchflow.judges import verifiers
from batchflow.judges.base import JudgeKind
from batchflow.judges.scripts import bundled
from batchflow.judges.scripts.sandbox import SCRIPT, Script, is_script
from batchflow.ledger.records import BatchRecord
from batchflow.records import Json, Params
from batchflow.steps.base.context import Context
from batchflow.steps.building.asks import Places
from batchflow.steps.building.local_options import LocalFlags, local_options, refuse_unnamed_model
from batchflow.steps.building.preflight import known_model
from batchflow.steps.building.provider_choice import provider_named, refuse_anothers_model
from batchflow.steps.judging.ballot import vendor_of
from batchflow.vendors.registry import traits_of

RULE_PANEL = ("rule:exact", "rule:normalised", "rule:numeric")
JURY_SIZE = 3


@dataclass(frozen=True, slots=True)
class Judge:
    """One member of the panel: who judges, and with which settings."""

    provider: str
    model: str
    params: Params = field(default_factory=Params)
    options: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """`provider:model`, as `--judges` takes it."""
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True)
class Alike:
    """Members of a panel that are asked the same: their places in it. rule: None for models.

    script: of rules that run in a process of their own. compares: of rules that read two texts and nothing else.
    """

    places: Places
    rule: str | None = None
    script: Json | None = None
    compares: bool = False


def alike(panel: Sequence[Judge]) -> list[Alike]:
    """The panel in groups whose members are asked the same. Raises UsageError for an unknown rule."""
    models, scripted = list[int](), list[Alike]()
    rules: dict[bool, list[int]] = {False: [], True: []}  # by whether they want the columns
    for place, judge in enumerate(panel):
        script = (judge.options or {}).get(SCRIPT)
        if not traits_of(judge.provider).judges_only:
            models.append(place)
        elif script:
            scripted.append(Alike((place,), judge.model, script))
        else:
            rules[verifiers.get(judge.model).COLUMNS].append(place)
    by_rule = [Alike(tuple(own), panel[own[0]].model, None, not wants) for wants, own in rules.items() if own]
    return [*([Alike(tuple(models))] if models else []), *by_rule, *scripted]


def panel_of(
    context: Context, batch: BatchRecord, chosen: Sequence[str], local: LocalFlags, kind: JudgeKind
) -> tuple[list[Judge], tuple[str, ...]]:
    """Chooses the judges, with notes for the user. Raises UsageError where nobody would judge."""
    if local.given and not any(traits_of(text.partition(":")[0].lower()).own_engine for text in chosen):
        raise UsageError(f"{', '.join(local.given)}: for judges of your own", hint="--judges local:MODEL")
    if chosen:
        panel = [_named(context, text, local) for text in chosen]
        _refuse_twins(panel)
        _refuse_rules(panel, kind)
        same = [judge for judge in panel if judge.provider == vendor_of(batch)]
        own = [judge.label for judge in same if not traits_of(judge.provider).own_engine]
        return panel, tuple(f"{label} judges a model of its own vendor" for label in own)
    pool = [_pooled(context, row) for row in context.settings.panel()]
    if not context.settings.vendors_with_key():
        rules = [_named(context, text, local) for text in RULE_PANEL]
        _refuse_rules(rules, kind)
        more = ", nobody judges the justifications" if len(kind.FIELDS) > 1 else ""
        return rules, (f"no vendor's key is set: rules judge the answers{more} (--judges chooses)",)
    others = [judge for judge in pool if judge.provider != vendor_of(batch)]
    if not others:
        raise UsageError(
            f"[[panel]] has only {vendor_of(batch)}, which judges no model of its own: nobody would judge {batch.name}",
            hint="add judges of other vendors to [[panel]] in batchflow.toml, or name them: --judges provider:model",
        )
    return others[:JURY_SIZE], ()


def _pooled(context: Context, row: Mapping[str, Any], local: LocalFlags | None = None) -> Judge:
    """A row of the judge pool; a local judge's row may hold options of its engine (base_url, concurrency, ...).

    Raises UsageError for a row without provider and model, or with unknown keys.
    """
    names = {name.name for name in fields(Params)}
    settings = {key: value for key, value in row.items() if key in names}
    rest = {key: value for key, value in row.items() if key not in {"provider", "model", *names}}
    try:
        judge = Judge(str(row["provider"]).lower(), str(row["model"]), Params(**settings))
        if rest and not traits_of(judge.provider).own_engine:
            raise UsageError(f"batchflow.toml: [[panel]] {dict(row)}: unknown: {', '.join(rest)}")
    except (KeyError, TypeError) as error:
        raise UsageError(f"batchflow.toml: [[panel]] {dict(row)}: {error}") from None
    if not traits_of(judge.provider).own_engine:
        refuse_anothers_model(context.settings, judge.provider, judge.model)
        return judge
    options = local_options(context, local or LocalFlags(), rest)
    return replace(judge, model=known_model(context, judge.model, options), options=options)


def _named(context: Context, text: str, local: LocalFlags) -> Judge:
    """A judge as `provider:model`; the pool's settings hold where it names a member. Raises UsageError."""
    word, colon, model = text.partition(":")
    provider = provider_named(context.settings, word)
    model = model if colon else (context.settings.default_model(provider) or "")
    if not model:
        raise UsageError(f"--judges {text}: which model?", hint="write provider:model, for example rule:exact")
    if traits_of(provider).judges_only and is_script(model):
        script = Script.of(model, **_limits(context))
        script.check()
        return Judge(provider, script.label, options={SCRIPT: script.record()})
    if traits_of(provider).judges_only and (own := bundled_script(context, model)):
        return Judge(provider, model, options={SCRIPT: own.record()})
    for row in context.settings.panel():
        if str(row.get("provider")).lower() == provider and row.get("model") == model:
            return _pooled(context, row, local)
    refuse_anothers_model(context.settings, provider, model)
    options = local_options(context, local, {}) if traits_of(provider).own_engine else None
    if options is not None:
        refuse_unnamed_model(options, colon)
        model = known_model(context, model, options)
    return Judge(provider, model, options=options)


def bundled_script(context: Context, rule: str) -> Script | None:
    """The script of a rule that comes with batchflow and runs programs; None for any other rule. Raises UsageError."""
    allowed = context.settings.section("verifier").get(bundled.PERMISSION, False)
    limits = {name: value for name, value in _limits(context).items() if name == "memory_mb"}
    return bundled.named(rule, allowed=allowed, **limits)


def _limits(context: Context) -> dict[str, float]:
    """Time and memory of a verifier's process, from batchflow.toml. Raises UsageError."""
    section = dict(context.settings.section("verifier"))
    if not isinstance(section.pop(bundled.PERMISSION, False), bool):
        raise UsageError(f"batchflow.toml: [verifier] {bundled.PERMISSION}: true or false is expected")
    for name, value in section.items():
        if name not in {"timeout_s", "memory_mb"}:
            hint = f"it may hold timeout_s, memory_mb and {bundled.PERMISSION}"
            raise UsageError(f"batchflow.toml: [verifier] {name}: unknown", hint=hint)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise UsageError(f"batchflow.toml: [verifier] {name} = {value!r}: a number above 0 is expected")
    return section


def _refuse_rules(panel: Sequence[Judge], kind: JudgeKind) -> None:
    """Raise UsageError for rules where only a model can judge."""
    rules = [judge.label for judge in panel if traits_of(judge.provider).judges_only]
    if rules and kind.RULED is None:
        raise UsageError(
            f"{', '.join(rules)}: rules compare answers with references, and cannot judge by {kind.NAME}",
            hint="name models: --judges vendor:model,...",
        )


def _refuse_twins(panel: Sequence[Judge]) -> None:
    labels = [judge.label for judge in panel]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"--judges names {label} twice", hint="a judge has one vote")
