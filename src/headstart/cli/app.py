"""The command line: one sub-command per public function, whose own defaults hold for whatever is left out."""

from __future__ import annotations

from typing import Annotated

import typer

import headstart
from headstart.cli.doctor import doctor
from headstart.cli.exits import EXIT_CODES, Answer, guarded
from headstart.cli.export import export, is_export, replay_answer
from headstart.cli.options import (
    Audio,
    Augmentation,
    Backbone,
    Budget,
    Categorical,
    Data,
    Date,
    Domain,
    Every,
    Format,
    FormatSet,
    FromRun,
    Group,
    Image,
    ItemsData,
    Joint,
    Json,
    Keep,
    Label,
    LabelCurve,
    Layers,
    LeaveOut,
    Numeric,
    Objective,
    Out,
    Overwrite,
    Part,
    Run,
    Runner,
    Scratch,
    Seed,
    Seeds,
    Set,
    SeveralData,
    Slices,
    SourceData,
    Target,
    TargetLabels,
    Task,
    TestTime,
    Text,
    Tuning,
    Weights,
    given,
    option,
    reporter,
)
from headstart.cli.pretrain import pretrain
from headstart.cli.push import push
from headstart.cli.select import select
from headstart.cli.serve import serve
from headstart.cli.suggest import suggest
from headstart.kernel.errors import SettingsError

app = typer.Typer(
    name="headstart",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n" + "\n".join(f"{code:5}  {meaning}" for code, meaning in EXIT_CODES.items()),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"headstart {headstart.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The best model that a pretrained network and a small data set support, with the evidence.

    \b
    headstart fit photos/                        learn from a folder of labelled images
    headstart predict runs/photos new-photos/    use what was learnt
    headstart select photos/                     rank pretrained models for the data
    headstart pretrain scans/                    learn from data without labels; the run is a backbone for fit
    headstart help                               what can be chosen
    """


@app.command()
@guarded
def fit(
    data: SeveralData,
    out: Out = None,
    text: Text = None,
    image: Image = None,
    sounds: Audio = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    date: Date = None,
    leave_out: LeaveOut = None,
    label: Label = None,
    group: Group = None,
    domain: Domain = None,
    slices: Slices = None,
    part: Part = None,
    joint: Joint = None,
    format: Format = None,
    task: Task = None,
    backbone: Backbone = None,
    weights: Weights = None,
    tuning: Tuning = None,
    objective: Objective = None,
    augmentation: Augmentation = None,
    runner: Runner = None,
    from_run: FromRun = None,
    target: Target = None,
    target_labels: TargetLabels = None,
    source: SourceData = None,
    items: ItemsData = None,
    keep: Keep = None,
    seed: Seed = None,
    seeds: Seeds = None,
    budget: Budget = None,
    scratch: Scratch = None,
    label_curve: LabelCurve = None,
    layers: Layers = None,
    every: Every = None,
    assignments: Set = None,
    overwrite: Overwrite = None,
    as_json: Json = False,
) -> Answer:
    """Learn from labelled data and show the evidence.

    \b
    headstart fit photos/
    headstart fit reviews.csv --text review --label stars --out runs/reviews
    headstart fit shop-a/ shop-b/ --target shop-c/    several domains, adapted to another without its labels
    headstart fit reviews.csv mails.csv --joint  a task of each on one backbone
    headstart fit runs/photos/plan.toml          repeat an earlier run
    headstart fit more-photos/ --from runs/photos    continue training its model, and report what it forgot
    headstart fit amazon/ --target webcam/       adapt to another domain, of which no label is read
    headstart fit photos/ --seeds 5              mean and spread over five fits, each with its own split
    """
    chosen = given(locals())
    from headstart.cli.printing import print_fit

    run = headstart.fit(data if len(data) > 1 else data[0], reporter=reporter(), **chosen)
    tuned = {"tuned": str(run.tuned)} if run.tuned else {}
    found = {"run": str(run.folder), **tuned, "verdict": run.verdict, "report": str(run.report), **run.metrics}
    return Answer(lambda: found, lambda: print_fit(run))


app.command()(guarded(export))
app.command()(guarded(pretrain))
app.command()(guarded(select))
app.command()(guarded(suggest))
app.command()(guarded(serve))
app.command()(guarded(push))


@app.command()
@guarded
def predict(
    run: Run,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="As of fit; a text; or - for texts or a table on standard input.")
    ],
    out: Annotated[str | None, option("--out", "File to write: .csv, .jsonl or .parquet.", "FILE")] = None,
    format: Format = None,
    text: Text = None,
    image: Image = None,
    sounds: Audio = None,
    test_time: TestTime = None,
    coverage: Annotated[
        float | None, option("--coverage", "Sets or intervals that hold the truth with this chance.", "0.9")
    ] = None,
    every: Every = None,
    assignments: FormatSet = None,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON document for each row.")] = False,
    as_json: Json = False,
) -> Answer:
    """Predict for new data.

    Without --out the predictions go to standard output as CSV; masks are files beside FILE and need it.

    \b
    headstart predict runs/photos new-photos/ --out predictions.csv
    headstart predict runs/reviews "a film to remember"
    headstart predict runs/photos new-photos/ --coverage 0.9    classes that hold the truth 9 times of 10
    headstart predict runs/photos new-photos/ --test-time adaptive_batch_norm    adapt to their look
    cat texts.txt | headstart predict runs/reviews - --jsonl
    """
    chosen = given(locals())
    from headstart.cli.printing import frame_document, print_frame, print_lines, print_predicted
    from headstart.verbs.predict import PredictionSummary

    if as_jsonl and (as_json or (out is not None and not out.endswith(".jsonl"))):
        raise SettingsError("--jsonl would do nothing beside --json, or with an --out that does not end in .jsonl")
    found = headstart.predict(run, data, reporter=reporter(), **chosen)
    if isinstance(found, PredictionSummary):
        return Answer(found.to_json, lambda: print_predicted(found))
    return Answer(lambda: frame_document(found), lambda: (print_lines if as_jsonl else print_frame)(found))


@app.command()
@guarded
def evaluate(
    run: Run,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Labelled data; the run's own test part by default.")
    ] = None,
    format: Format = None,
    text: Text = None,
    image: Image = None,
    sounds: Audio = None,
    label: Label = None,
    group: Group = None,
    slices: Slices = None,
    test_time: TestTime = None,
    every: Every = None,
    assignments: FormatSet = None,
    as_json: Json = False,
) -> Answer:
    """Evaluate a run on labelled data, or replay what an export was written with.

    \b
    headstart evaluate runs/photos more-photos/
    headstart evaluate exports/photos-onnx       do its golden inputs give their outputs on this machine?
    headstart evaluate runs/photos more-photos/ --test-time tent    figures with and without
    """
    chosen = given(locals())
    from headstart.cli.printing import print_evaluation

    if is_export(run):
        return replay_answer(run, data, chosen)
    found = headstart.evaluate(run, data, reporter=reporter(), **chosen)
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_evaluation(found))


@app.command()
@guarded
def inspect(
    data: Data,
    against: Annotated[str | None, option("--against", "Another set: does it differ, and how?", "OTHER")] = None,
    deep: Annotated[
        bool | None, typer.Option("--deep", help="Look at frozen features: wrong labels, outliers, overlaps.")
    ] = None,
    out: Annotated[str | None, option("--out", "CSV table of all findings, or HTML page.", "FILE")] = None,
    fix: Annotated[str | None, option("--fix", "Cleaned list that fit reads; DATA stays as it is.", "FILE")] = None,
    text: Text = None,
    image: Image = None,
    sounds: Audio = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    date: Date = None,
    leave_out: LeaveOut = None,
    label: Label = None,
    group: Group = None,
    domain: Domain = None,
    slices: Slices = None,
    part: Part = None,
    format: Format = None,
    task: Task = None,
    backbone: Backbone = None,
    weights: Weights = None,
    every: Every = None,
    assignments: Set = None,
    as_json: Json = False,
) -> Answer:
    """Find problems in the data before training, and what fit would refuse, leave out, cut or assume.

    \b
    headstart inspect photos/
    headstart inspect photos/ --against new-photos/    do the new ones differ, and in what?
    headstart inspect photos/ --deep --out findings.html    wrong labels, outliers, weak groups and more
    headstart inspect photos/ --deep --fix cleaned.csv    a list without copies and wrong labels
    """
    chosen = given(locals())
    from headstart.cli.printing import print_inspection

    found = headstart.inspect(data, reporter=reporter(), **chosen)
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_inspection(found))


@app.command()
@guarded
def report(
    run: Run,
    out: Annotated[str | None, option("--out", "HTML file to write; RUN/report.html by default.", "FILE")] = None,
    as_json: Json = False,
) -> Answer:
    """Write the report of a run again.

    \b
    headstart report runs/photos --out photos.html
    """
    written = headstart.report(run, **given(locals()))
    return Answer(lambda: {"report": str(written)}, lambda: print(written))


@app.command()
@guarded
def cache(
    clear: Annotated[bool | None, typer.Option("--clear", help="Delete everything without asking.")] = None,
    limit: Annotated[
        str | None, option("--limit", "Evict down to SIZE and keep that limit, or 'default'.", "SIZE")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Show or clear the cache.

    \b
    headstart cache
    headstart cache --limit 20GB                 limit the stored features to 20 GB from now on
    headstart cache --clear
    """
    chosen = given(locals())
    from headstart.cli.cache_printing import print_cache

    found = headstart.cache(**chosen)
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_cache(found))


app.command()(guarded(doctor))


@app.command("help")
@guarded
def explain(
    family: Annotated[str | None, typer.Argument(metavar="FAMILY", help="Such as tuning.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Such as full.")] = None,
    as_json: Json = False,  # noqa: ARG001
) -> Answer:
    """List the plug-ins and their settings.

    \b
    headstart help                 the families of plug-ins
    headstart help tuning          the plug-ins of a family
    headstart help tuning full     the settings of a plug-in, for --set
    headstart help training        the settings of pretrain, for --set
    headstart help head            the settings of a fit's head, for --set
    headstart help blend           those of blending probe and fine-tuning
    """
    from headstart.cli import plugin_help
    from headstart.cli.printing import print_entries, print_settings

    if family == plugin_help.TRAINING:
        idea, rows = plugin_help.training()
    elif family == plugin_help.HEAD:
        idea, rows = plugin_help.head()
    elif family == plugin_help.BLEND:
        idea, rows = plugin_help.blend()
    elif family is None or name is None:
        entries = plugin_help.families() if family is None else plugin_help.plugins(family)
        return Answer(lambda: [entry._asdict() for entry in entries], lambda: print_entries(entries))
    else:
        idea, rows = plugin_help.idea(family, name), plugin_help.settings(family, name)
    document = {"name": name or family, "idea": idea, "settings": [row._asdict() for row in rows]}
    return Answer(lambda: document, lambda: print_settings(family, idea, rows))
