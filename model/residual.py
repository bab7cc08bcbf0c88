"""What becomes of the sound that no estimate claims."""

from __future__ import annotations

from typing import Literal, get_args

ResidualPolicy = Literal["other", "spread", "file", "none"]
"""`other`: joins the model's residual stem; `spread`: shared by energy; `file`: a stem of its own,
`residual`; `none`: kept out of the stems."""

RESIDUAL_POLICIES: tuple[ResidualPolicy, ...] = get_args(ResidualPolicy)

RESIDUAL = "residual"
"""The name of the residual where it is a stem."""
