"""Causal effects with honest intervals from conditional diffusion models.

The shop window: every public name and the module that is its home. A name is imported when it is
first asked for, so that ``import causal_ddpm`` itself loads neither torch nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "causal_ddpm.baselines.panel.registry": ["panel_baselines"],
    "causal_ddpm.core.aliases": ["AliasStructure", "alias_structure"],
    "causal_ddpm.core.assignment": ["Assignment"],
    "causal_ddpm.core.combine": ["combine_estimates"],
    "causal_ddpm.core.confidence_set": ["ConfidenceSet"],
    "causal_ddpm.core.data": ["CausalData"],
    "causal_ddpm.core.errors": [
        "CausalDDPMError",
        "CausalDDPMWarning",
        "ConvergenceError",
        "ConvergenceWarning",
        "DataError",
        "MissingDependencyError",
        "ModelFileError",
        "NotCalibratedWarning",
        "NotIdentifiedError",
        "OverlapError",
        "OverlapWarning",
        "SmallSampleWarning",
        "SyntheticDataError",
        "WeakInstrumentWarning",
    ],
    "causal_ddpm.core.estimand": [
        "ATE",
        "ATO",
        "ATT",
        "ATU",
        "ITT",
        "LATE",
        "QTE",
        "ATTByCohort",
        "ATTByEventTime",
        "ArmContrast",
        "ArmMeans",
        "DoseResponse",
        "CDFDifference",
        "GiniEffect",
        "LorenzEffect",
        "PotentialDistributions",
        "ShareBelow",
        "BLP",
        "GATE",
        "BudgetRule",
        "PolicyValue",
        "TrimmedATE",
    ],
    "causal_ddpm.core.estimate": ["EffectCurve", "Estimate"],
    "causal_ddpm.core.factorial_data": ["FactorialData"],
    "causal_ddpm.core.instrument_data": ["InstrumentData"],
    "causal_ddpm.core.network": ["Network"],
    "causal_ddpm.core.panel_data": ["PanelData"],
    "causal_ddpm.core.reported": ["reported_estimate"],
    "causal_ddpm.dgp.ai_adoption": ["AIAdoption"],
    "causal_ddpm.dgp.catalog": ["catalog", "describe", "design_by_name", "entries"],
    "causal_ddpm.dgp.factorial": ["FactorialModel"],
    "causal_ddpm.dgp.fractions": ["fractional_factorial"],
    "causal_ddpm.dgp.supply_demand": ["SupplyDemand"],
    "causal_ddpm.dgp.torch_dataset": ["DID_Dataset"],
    "causal_ddpm.diffusion.batches": ["TrainingGroup"],
    "causal_ddpm.diffusion.conditional": ["ConditionalDiffusion", "train_conditional"],
    "causal_ddpm.diffusion.constraints": [
        "LinearEquality",
        "LinearInequality",
        "accounting_identity",
        "bounds",
        "budget",
        "market_clearing",
        "non_negative",
        "shares",
    ],
    "causal_ddpm.diffusion.forward": ["ForwardProcess"],
    "causal_ddpm.diffusion.parametrisation": ["ForeignDenoiser"],
    "causal_ddpm.diffusion.settings": ["DiffusionSettings"],
    "causal_ddpm.diffusion.stream": ["ParquetDiffusion", "train_parquet"],
    "causal_ddpm.diffusion.joint": ["FittedJoint", "JointDiffusion"],
    "causal_ddpm.diffusion.vector": ["VectorDiffusion", "train_vector"],
    "causal_ddpm.estimators.api": ["estimate_effects"],
    "causal_ddpm.estimators.cate": ["ConditionalEffects", "conditional_effects"],
    "causal_ddpm.estimators.cate_interval": ["ConditionalIntervals", "conditional_intervals"],
    "causal_ddpm.estimators.conformal": [
        "UnitEffectIntervals",
        "new_unit_effect_intervals",
        "unit_effect_intervals",
    ],
    "causal_ddpm.estimators.counterfactual": ["JointEffects", "joint_effects"],
    "causal_ddpm.estimators.curves": ["distribution_curves", "effect_curve"],
    "causal_ddpm.estimators.factorial": ["FactorialFit"],
    "causal_ddpm.estimators.factorial_ols": ["factorial_ols"],
    "causal_ddpm.estimators.factorial_scores": ["factorial_scores"],
    "causal_ddpm.estimators.iv": ["anderson_rubin"],
    "causal_ddpm.estimators.lenth": ["LenthTest", "lenth_test"],
    "causal_ddpm.estimators.panel.clustered": ["ClusterInference", "clustered_effects"],
    "causal_ddpm.estimators.panel.diffusion": ["PanelDiffusion"],
    "causal_ddpm.estimators.panel.effect": ["PanelEffect"],
    "causal_ddpm.estimators.spillover": ["spillover_effects"],
    "causal_ddpm.estimators.structural": ["structural_curve"],
    "causal_ddpm.estimators.structural_record": ["StructuralCurve"],
    "causal_ddpm.evaluation.analysis": ["Analysis", "analyse"],
    "causal_ddpm.evaluation.augmentation": ["Augmented", "augment"],
    "causal_ddpm.evaluation.augmentation_check": ["AugmentationCheck", "augmentation_check"],
    "causal_ddpm.evaluation.compare": ["compare"],
    "causal_ddpm.evaluation.comparison": ["Comparison"],
    "causal_ddpm.evaluation.diagnostics": ["Overlap", "overlap_report"],
    "causal_ddpm.evaluation.own_study.result": ["OwnStudy"],
    "causal_ddpm.evaluation.own_study.study": ["study_own"],
    "causal_ddpm.evaluation.recovery.did": ["DIDRecovery", "recover_did"],
    "causal_ddpm.evaluation.recovery.historic": ["HistoricDID"],
    "causal_ddpm.evaluation.twin.design": ["TwinDesign"],
    "causal_ddpm.evaluation.twin.fit": ["TwinSettings"],
    "causal_ddpm.evaluation.panel.analysis": ["PanelAnalysis", "analyse_panel"],
    "causal_ddpm.evaluation.panel.comparison": ["PanelComparison", "compare_panel"],
    "causal_ddpm.evaluation.panel.diagnose": ["PanelDiagnostics", "diagnose_panel"],
    "causal_ddpm.evaluation.panel.bacon": ["bacon_weights"],
    "causal_ddpm.evaluation.panel.honest": ["honest_did"],
    "causal_ddpm.evaluation.panel.placebo_space": ["placebo_in_space"],
    "causal_ddpm.evaluation.panel.placebo_time": ["placebo_in_time"],
    "causal_ddpm.evaluation.panel.pretrends": ["pretrend_test"],
    "causal_ddpm.baselines.honest_did": ["universal_event_study"],
    "causal_ddpm.evaluation.recovery.api": ["recover"],
    "causal_ddpm.evaluation.recovery.report": ["Recovery"],
    "causal_ddpm.evaluation.factorial": [
        "FactorialAnalysis",
        "analyse_factorial",
        "factorial_analysis",
    ],
    "causal_ddpm.evaluation.refutation": ["Refutation", "refute"],
    "causal_ddpm.evaluation.sensitivity": ["Sensitivity", "Strengths", "sensitivity"],
    "causal_ddpm.evaluation.cate_scores": ["CateScores", "score_effects"],
    "causal_ddpm.framework": ["CausalConfig", "CausalInferenceFramework"],
    "causal_ddpm.nuisance.augmented": ["AugmentedOutcomeModel"],
    "causal_ddpm.nuisance.crossfit": ["Nuisances", "fit_nuisances"],
    "causal_ddpm.nuisance.dose": ["DoseNuisances", "fit_dose_nuisances"],
    "causal_ddpm.nuisance.dose_learners": ["GaussianDoseDensity", "LearnerDoseMean"],
    "causal_ddpm.nuisance.dose_law": ["NormalStages"],
    "causal_ddpm.nuisance.factor_law": ["FactorLaw", "fit_factor_law"],
    "causal_ddpm.nuisance.instrument": ["InstrumentNuisances", "fit_instrument_nuisances"],
    "causal_ddpm.nuisance.law": ["PotentialOutcomeLaw"],
    "causal_ddpm.nuisance.market": ["FittedMarket", "MarketModel"],
    "causal_ddpm.nuisance.outcome": ["PotentialOutcomeModel"],
    "causal_ddpm.nuisance.panel.average": ["ConvexAverage"],
    "causal_ddpm.nuisance.panel.choose": ["BaseChoice", "choose_base"],
    "causal_ddpm.nuisance.panel.factors": ["InteractiveFactors"],
    "causal_ddpm.nuisance.panel.ridge_donors": ["RidgeDonors"],
    "causal_ddpm.nuisance.panel.soft_impute": ["SoftImpute"],
    "causal_ddpm.nuisance.panel.synthetic_control": ["SyntheticControl"],
    "causal_ddpm.nuisance.panel.synthetic_did": ["SyntheticDID"],
    "causal_ddpm.nuisance.panel.two_way": ["TwoWay"],
    "causal_ddpm.nuisance.replicates": ["EffectReplicates", "fit_replicates"],
    "causal_ddpm.nuisance.regressor": ["DiffusionRegressor"],
    "causal_ddpm.nuisance.vector_law": ["VectorOutcomeLaw", "VectorOutcomeModel"],
    "causal_ddpm.report.factorial": ["write_factorial_report"],
    "causal_ddpm.report.html": ["write_report"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

# The same table once more, for type checkers and editors, which read no dictionaries; a test
# keeps the two equal.
if TYPE_CHECKING:
    from causal_ddpm.baselines.honest_did import universal_event_study as universal_event_study
    from causal_ddpm.baselines.panel.registry import panel_baselines as panel_baselines
    from causal_ddpm.core.aliases import (
        AliasStructure as AliasStructure,
        alias_structure as alias_structure,
    )
    from causal_ddpm.core.assignment import Assignment as Assignment
    from causal_ddpm.core.combine import combine_estimates as combine_estimates
    from causal_ddpm.core.confidence_set import ConfidenceSet as ConfidenceSet
    from causal_ddpm.core.data import CausalData as CausalData
    from causal_ddpm.core.errors import (
        CausalDDPMError as CausalDDPMError,
        CausalDDPMWarning as CausalDDPMWarning,
        ConvergenceError as ConvergenceError,
        ConvergenceWarning as ConvergenceWarning,
        DataError as DataError,
        MissingDependencyError as MissingDependencyError,
        ModelFileError as ModelFileError,
        NotCalibratedWarning as NotCalibratedWarning,
        NotIdentifiedError as NotIdentifiedError,
        OverlapError as OverlapError,
        OverlapWarning as OverlapWarning,
        SmallSampleWarning as SmallSampleWarning,
        SyntheticDataError as SyntheticDataError,
        WeakInstrumentWarning as WeakInstrumentWarning,
    )
    from causal_ddpm.core.estimand import (
        ATE as ATE,
        ATO as ATO,
        ATT as ATT,
        ATU as ATU,
        BLP as BLP,
        GATE as GATE,
        ITT as ITT,
        LATE as LATE,
        QTE as QTE,
        ArmContrast as ArmContrast,
        ArmMeans as ArmMeans,
        ATTByCohort as ATTByCohort,
        ATTByEventTime as ATTByEventTime,
        BudgetRule as BudgetRule,
        CDFDifference as CDFDifference,
        DoseResponse as DoseResponse,
        GiniEffect as GiniEffect,
        LorenzEffect as LorenzEffect,
        PolicyValue as PolicyValue,
        PotentialDistributions as PotentialDistributions,
        ShareBelow as ShareBelow,
        TrimmedATE as TrimmedATE,
    )
    from causal_ddpm.core.estimate import EffectCurve as EffectCurve, Estimate as Estimate
    from causal_ddpm.core.factorial_data import FactorialData as FactorialData
    from causal_ddpm.core.instrument_data import InstrumentData as InstrumentData
    from causal_ddpm.core.network import Network as Network
    from causal_ddpm.core.panel_data import PanelData as PanelData
    from causal_ddpm.core.reported import reported_estimate as reported_estimate
    from causal_ddpm.dgp.ai_adoption import AIAdoption as AIAdoption
    from causal_ddpm.dgp.catalog import (
        catalog as catalog,
        describe as describe,
        design_by_name as design_by_name,
        entries as entries,
    )
    from causal_ddpm.dgp.factorial import FactorialModel as FactorialModel
    from causal_ddpm.dgp.fractions import fractional_factorial as fractional_factorial
    from causal_ddpm.dgp.supply_demand import SupplyDemand as SupplyDemand
    from causal_ddpm.dgp.torch_dataset import DID_Dataset as DID_Dataset
    from causal_ddpm.diffusion.batches import TrainingGroup as TrainingGroup
    from causal_ddpm.diffusion.conditional import (
        ConditionalDiffusion as ConditionalDiffusion,
        train_conditional as train_conditional,
    )
    from causal_ddpm.diffusion.constraints import (
        LinearEquality as LinearEquality,
        LinearInequality as LinearInequality,
        accounting_identity as accounting_identity,
        bounds as bounds,
        budget as budget,
        market_clearing as market_clearing,
        non_negative as non_negative,
        shares as shares,
    )
    from causal_ddpm.diffusion.forward import ForwardProcess as ForwardProcess
    from causal_ddpm.diffusion.joint import (
        FittedJoint as FittedJoint,
        JointDiffusion as JointDiffusion,
    )
    from causal_ddpm.diffusion.parametrisation import ForeignDenoiser as ForeignDenoiser
    from causal_ddpm.diffusion.settings import DiffusionSettings as DiffusionSettings
    from causal_ddpm.diffusion.stream import (
        ParquetDiffusion as ParquetDiffusion,
        train_parquet as train_parquet,
    )
    from causal_ddpm.diffusion.vector import (
        VectorDiffusion as VectorDiffusion,
        train_vector as train_vector,
    )
    from causal_ddpm.estimators.api import estimate_effects as estimate_effects
    from causal_ddpm.estimators.cate import (
        ConditionalEffects as ConditionalEffects,
        conditional_effects as conditional_effects,
    )
    from causal_ddpm.estimators.cate_interval import (
        ConditionalIntervals as ConditionalIntervals,
        conditional_intervals as conditional_intervals,
    )
    from causal_ddpm.estimators.conformal import (
        UnitEffectIntervals as UnitEffectIntervals,
        new_unit_effect_intervals as new_unit_effect_intervals,
        unit_effect_intervals as unit_effect_intervals,
    )
    from causal_ddpm.estimators.counterfactual import (
        JointEffects as JointEffects,
        joint_effects as joint_effects,
    )
    from causal_ddpm.estimators.curves import (
        distribution_curves as distribution_curves,
        effect_curve as effect_curve,
    )
    from causal_ddpm.estimators.factorial import FactorialFit as FactorialFit
    from causal_ddpm.estimators.factorial_ols import factorial_ols as factorial_ols
    from causal_ddpm.estimators.factorial_scores import factorial_scores as factorial_scores
    from causal_ddpm.estimators.iv import anderson_rubin as anderson_rubin
    from causal_ddpm.estimators.lenth import LenthTest as LenthTest, lenth_test as lenth_test
    from causal_ddpm.estimators.panel.clustered import (
        ClusterInference as ClusterInference,
        clustered_effects as clustered_effects,
    )
    from causal_ddpm.estimators.panel.diffusion import PanelDiffusion as PanelDiffusion
    from causal_ddpm.estimators.panel.effect import PanelEffect as PanelEffect
    from causal_ddpm.estimators.spillover import spillover_effects as spillover_effects
    from causal_ddpm.estimators.structural import structural_curve as structural_curve
    from causal_ddpm.estimators.structural_record import StructuralCurve as StructuralCurve
    from causal_ddpm.evaluation.analysis import Analysis as Analysis, analyse as analyse
    from causal_ddpm.evaluation.augmentation import Augmented as Augmented, augment as augment
    from causal_ddpm.evaluation.augmentation_check import (
        AugmentationCheck as AugmentationCheck,
        augmentation_check as augmentation_check,
    )
    from causal_ddpm.evaluation.cate_scores import (
        CateScores as CateScores,
        score_effects as score_effects,
    )
    from causal_ddpm.evaluation.compare import compare as compare
    from causal_ddpm.evaluation.comparison import Comparison as Comparison
    from causal_ddpm.evaluation.diagnostics import (
        Overlap as Overlap,
        overlap_report as overlap_report,
    )
    from causal_ddpm.evaluation.factorial import (
        FactorialAnalysis as FactorialAnalysis,
        analyse_factorial as analyse_factorial,
        factorial_analysis as factorial_analysis,
    )
    from causal_ddpm.evaluation.own_study.result import OwnStudy as OwnStudy
    from causal_ddpm.evaluation.own_study.study import study_own as study_own
    from causal_ddpm.evaluation.panel.analysis import (
        PanelAnalysis as PanelAnalysis,
        analyse_panel as analyse_panel,
    )
    from causal_ddpm.evaluation.panel.bacon import bacon_weights as bacon_weights
    from causal_ddpm.evaluation.panel.comparison import (
        PanelComparison as PanelComparison,
        compare_panel as compare_panel,
    )
    from causal_ddpm.evaluation.panel.diagnose import (
        PanelDiagnostics as PanelDiagnostics,
        diagnose_panel as diagnose_panel,
    )
    from causal_ddpm.evaluation.panel.honest import honest_did as honest_did
    from causal_ddpm.evaluation.panel.placebo_space import placebo_in_space as placebo_in_space
    from causal_ddpm.evaluation.panel.placebo_time import placebo_in_time as placebo_in_time
    from causal_ddpm.evaluation.panel.pretrends import pretrend_test as pretrend_test
    from causal_ddpm.evaluation.recovery.api import recover as recover
    from causal_ddpm.evaluation.recovery.did import (
        DIDRecovery as DIDRecovery,
        recover_did as recover_did,
    )
    from causal_ddpm.evaluation.recovery.historic import HistoricDID as HistoricDID
    from causal_ddpm.evaluation.recovery.report import Recovery as Recovery
    from causal_ddpm.evaluation.refutation import Refutation as Refutation, refute as refute
    from causal_ddpm.evaluation.sensitivity import (
        Sensitivity as Sensitivity,
        Strengths as Strengths,
        sensitivity as sensitivity,
    )
    from causal_ddpm.evaluation.twin.design import TwinDesign as TwinDesign
    from causal_ddpm.evaluation.twin.fit import TwinSettings as TwinSettings
    from causal_ddpm.framework import (
        CausalConfig as CausalConfig,
        CausalInferenceFramework as CausalInferenceFramework,
    )
    from causal_ddpm.nuisance.augmented import AugmentedOutcomeModel as AugmentedOutcomeModel
    from causal_ddpm.nuisance.crossfit import Nuisances as Nuisances, fit_nuisances as fit_nuisances
    from causal_ddpm.nuisance.dose import (
        DoseNuisances as DoseNuisances,
        fit_dose_nuisances as fit_dose_nuisances,
    )
    from causal_ddpm.nuisance.dose_law import NormalStages as NormalStages
    from causal_ddpm.nuisance.dose_learners import (
        GaussianDoseDensity as GaussianDoseDensity,
        LearnerDoseMean as LearnerDoseMean,
    )
    from causal_ddpm.nuisance.factor_law import (
        FactorLaw as FactorLaw,
        fit_factor_law as fit_factor_law,
    )
    from causal_ddpm.nuisance.instrument import (
        InstrumentNuisances as InstrumentNuisances,
        fit_instrument_nuisances as fit_instrument_nuisances,
    )
    from causal_ddpm.nuisance.law import PotentialOutcomeLaw as PotentialOutcomeLaw
    from causal_ddpm.nuisance.market import FittedMarket as FittedMarket, MarketModel as MarketModel
    from causal_ddpm.nuisance.outcome import PotentialOutcomeModel as PotentialOutcomeModel
    from causal_ddpm.nuisance.panel.average import ConvexAverage as ConvexAverage
    from causal_ddpm.nuisance.panel.choose import (
        BaseChoice as BaseChoice,
        choose_base as choose_base,
    )
    from causal_ddpm.nuisance.panel.factors import InteractiveFactors as InteractiveFactors
    from causal_ddpm.nuisance.panel.ridge_donors import RidgeDonors as RidgeDonors
    from causal_ddpm.nuisance.panel.soft_impute import SoftImpute as SoftImpute
    from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl as SyntheticControl
    from causal_ddpm.nuisance.panel.synthetic_did import SyntheticDID as SyntheticDID
    from causal_ddpm.nuisance.panel.two_way import TwoWay as TwoWay
    from causal_ddpm.nuisance.regressor import DiffusionRegressor as DiffusionRegressor
    from causal_ddpm.nuisance.replicates import (
        EffectReplicates as EffectReplicates,
        fit_replicates as fit_replicates,
    )
    from causal_ddpm.nuisance.vector_law import (
        VectorOutcomeLaw as VectorOutcomeLaw,
        VectorOutcomeModel as VectorOutcomeModel,
    )
    from causal_ddpm.report.factorial import write_factorial_report as write_factorial_report
    from causal_ddpm.report.html import write_report as write_report

__all__ = sorted(["__version__", *_HOME_OF])


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'causal_ddpm' has no attribute '{name}'")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
