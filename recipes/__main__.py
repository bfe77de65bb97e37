"""`python -m recipes NAME --out FOLDER` trains a backbone on the generated pictures of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.exits import Answer, guarded
from headstart.cli.options import Json, reporter, seconds
from recipes.recipe import known_recipes, pretrain_recipe

Recipe = Annotated[str, typer.Argument(help=f"A recipe ({', '.join(known_recipes())}), or the path of a recipe file.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the backbone. Given again, training resumes.")]
Budget = Annotated[
    float | None,
    typer.Option("--budget", parser=seconds, help="Time limit for the training: 90, 90s, 5m or 1h.", metavar="TIME"),
]


@guarded
def main(recipe: Recipe, out: Out, budget: Budget = None, as_json: Json = False) -> Answer:  # noqa: ARG001
    """Train the backbone of a recipe from random weights, or resume."""
    progress = pretrain_recipe(recipe, out, budget=budget, reporter=reporter())
    last = progress.history[-1]
    found = {"run": str(out), "val_loss": last.val_loss, "val_metric": last.val_metric, "stopped": progress.stopped}
    words = f"{progress.stopped}; validation loss {last.val_loss:.3g}. Use it:  headstart fit LABELLED --backbone {out}"
    return Answer(lambda: found, lambda: print(words))


if __name__ == "__main__":
    typer.run(main)
