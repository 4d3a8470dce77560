"""Figures of an analysis; each keeps its numbers: ``frame()`` gives them, ``plot(ax)`` draws.

A display is made from an :class:`~causal_ddpm.evaluation.analysis.Analysis` by its ``of`` method,
which returns None where the analysis lacks what the picture needs; ``CouplingDisplay`` is made from
:class:`~causal_ddpm.estimators.counterfactual.JointEffects`, ``OmittedVariableDisplay`` and
``HiddenBiasDisplay`` from :class:`~causal_ddpm.evaluation.sensitivity.Sensitivity`; those of panels
from :class:`~causal_ddpm.core.panel_data.PanelData` and
:class:`~causal_ddpm.estimators.panel.effect.PanelEffect`; those of factorial experiments
from a :class:`~causal_ddpm.estimators.factorial.FactorialFit` or a
:class:`~causal_ddpm.estimators.lenth.LenthTest`; ``StructuralCurveDisplay`` from a
:class:`~causal_ddpm.estimators.structural_record.StructuralCurve`.
"""

from causal_ddpm.report.displays.base import Display
from causal_ddpm.report.displays.comparison import BalanceDisplay, OverlapDisplay
from causal_ddpm.report.displays.coupling import CouplingDisplay
from causal_ddpm.report.displays.donors import DonorDisplay, LeaveOneOutDisplay
from causal_ddpm.report.displays.effects import EffectDisplay, UnitEffectsDisplay
from causal_ddpm.report.displays.event_study import EventStudyDisplay
from causal_ddpm.report.displays.factorial import (
    FactorGridDisplay,
    FactorialEffectsDisplay,
    HalfNormalDisplay,
    InteractionDisplay,
)
from causal_ddpm.report.displays.honest import HonestDisplay
from causal_ddpm.report.displays.laws import DistributionsDisplay, QuantileDisplay
from causal_ddpm.report.displays.leaderboard import LeaderboardDisplay
from causal_ddpm.report.displays.methods import MethodForestDisplay
from causal_ddpm.report.displays.own_study import OwnStudyDisplay
from causal_ddpm.report.displays.panel_map import CohortMeansDisplay, TreatmentMapDisplay
from causal_ddpm.report.displays.panel_path import CounterfactualPathDisplay, GapDisplay
from causal_ddpm.report.displays.placebo import (
    PlaceboCoverageDisplay,
    PlaceboDistributionDisplay,
)
from causal_ddpm.report.displays.sensitivity import HiddenBiasDisplay, OmittedVariableDisplay
from causal_ddpm.report.displays.structural import StructuralCurveDisplay

__all__ = [
    "BalanceDisplay",
    "CohortMeansDisplay",
    "CounterfactualPathDisplay",
    "CouplingDisplay",
    "Display",
    "DistributionsDisplay",
    "DonorDisplay",
    "EffectDisplay",
    "EventStudyDisplay",
    "FactorGridDisplay",
    "FactorialEffectsDisplay",
    "GapDisplay",
    "HalfNormalDisplay",
    "HiddenBiasDisplay",
    "HonestDisplay",
    "InteractionDisplay",
    "LeaderboardDisplay",
    "LeaveOneOutDisplay",
    "MethodForestDisplay",
    "OmittedVariableDisplay",
    "OverlapDisplay",
    "OwnStudyDisplay",
    "PlaceboCoverageDisplay",
    "PlaceboDistributionDisplay",
    "QuantileDisplay",
    "StructuralCurveDisplay",
    "TreatmentMapDisplay",
    "UnitEffectsDisplay",
]
