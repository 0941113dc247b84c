"""The recommender as MLflow loads it (`loader_module`): a table of sessions in, a table of products and scores out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.recommender.model import Recommender

if TYPE_CHECKING:
    import pandas as pd


class SessionRecommender:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, model: Recommender) -> None:
        self.model = model

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One answer for each row.

        Args:
            frame: `session`: product ids, the oldest first; an empty list or a missing one gets what is popular. `top`,
                which may be left out: so many products; else as many as configured.
            params: none are known.

        Returns:
            `product_ids` and `scores`, lists of one length, best first; the index of `frame`.

        Raises:
            ValueError: there is no column `session`, or a `top` is below 1.
        """
        import pandas as pd

        if "session" not in frame.columns:
            raise ValueError(
                f"the input has the columns {list(frame.columns)}: it needs `session`, lists of product ids."
            )
        answers = []
        tops = frame["top"] if "top" in frame.columns else [self.model.config.top_n] * len(frame)
        for session, top in zip(frame["session"], tops, strict=True):
            if top < 1:
                raise ValueError(f"top: {top}: ask for 1 product or more.")
            known = [] if session is None or isinstance(session, float) else [str(product) for product in session]
            pairs = self.model.recommend(known, int(top))
            answers.append(([product for product, _ in pairs], [score for _, score in pairs]))
        return pd.DataFrame(answers, columns=["product_ids", "scores"], index=frame.index)


def _load_pyfunc(path: str) -> SessionRecommender:
    """Called by MLflow with the folder that `Recommender.save` wrote."""
    return SessionRecommender(Recommender.load(Path(path)))
