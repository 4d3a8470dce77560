r"""The two-way regression without each cluster in turn, and its imputation weights, in closed form.

On the untreated cells O, with unit weights omega_i, k = T + p regressors r_it = (period indicators,
covariates), and r~, y~ the deviations from the means r_i., y_i. of a unit over its cells in O,

    H_c = sum_{it in O, i in c} omega_i r~ r~',    h_c = sum_{it in O, i in c} omega_i r~ y~
    beta = H^+ h,      tau_it = y_it - y_i. - (r_it - r_i.)' beta

where H and h add up over clusters c; so the fit without cluster c is (H - H_c)^+ (h - h_c). The
average effect theta = sum w_it tau_it is a weighted sum of outcomes with weights w_it on the cells
averaged and, with B = sum w_it (r_it - r_i.) and w_i. the sum of a unit's w over its cells in O,

    v_it = - w_i. / |O_i| - omega_i r~_it' H^+ B          on O

(Borusyak, Jaravel and Spiess 2024, Proposition A3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from causal_ddpm.estimators.panel.effect_cells import EffectCells
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.two_way import TwoWay

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

_CHUNK = 128
"""Clusters whose equations are solved together."""
_RANK = 1e-9
"""Eigenvalues, and pivots, below this share of the largest count as zero."""


@dataclass(frozen=True, eq=False)
class TwoWayEquations:
    """The two-way regression of untreated outcomes, unit effects eliminated; made by :meth:`of`.

    Parameters
    ----------
    seen : ndarray of bool, shape (N, T)
        O.
    linked : ndarray of bool, shape (N, T)
        Cells whose untreated outcome is identified.
    omega : ndarray, shape (N,)
    covariates : ndarray, shape (N, T, p)
        Each divided by its size within units, which does not change the fit.
    outcome : ndarray, shape (N, T)
        Less the mean of each unit over O, and zero where it was not observed.
    centre : ndarray, shape (N,)
        y_i.
    gram, moment : ndarray, shape (k, k) and (k,)
        H and h.
    null : ndarray, shape (k, k)
        Projector on the null space of H, of the size of H.
    beta : ndarray, shape (k,)
    """

    seen: Mask
    linked: Mask
    omega: Array
    covariates: Array
    outcome: Array
    centre: Array
    gram: Array
    moment: Array
    null: Array
    beta: Array

    @classmethod
    def of(cls, cells: PanelCells, omega: Array, outcome: Array) -> TwoWayEquations:
        """Set up and solve.

        Parameters
        ----------
        cells : PanelCells
        omega : ndarray, shape (N,)
        outcome : ndarray, shape (N, T)
            All observed outcomes, treated ones included; NaN where there is none.

        Raises
        ------
        NotIdentifiedError
            If a covariate does not vary within units and periods.
        """
        seen = cells.observed & (omega > 0)[:, None]
        used = PanelCells(cells.outcome, cells.covariates, seen, cells.period)
        linked = TwoWay().fit(used).linked
        count = np.maximum(seen.sum(axis=1), 1)
        centre = np.where(seen, cells.outcome, 0.0).sum(axis=1) / count
        x = cells.covariates
        within = np.where(seen[..., None], x - _means(x, seen)[:, None], 0.0)
        size = np.sqrt((within**2).sum(axis=(0, 1)) / max(1, seen.sum()))
        x = x / np.where(size > 0, size, 1.0)
        y = np.nan_to_num(outcome - centre[:, None])
        k = x.shape[1] + x.shape[2]
        nothing = np.zeros((k, k)), np.zeros(k), np.zeros((k, k)), np.zeros(k)
        empty = cls(seen, linked, omega, x, y, centre, *nothing)
        everyone = np.zeros(len(seen), dtype=np.int64)
        gram, moment = (part[0] for part in empty._equations(everyone, 1))
        null, beta = _null_and_solution(gram, moment)
        return cls(seen, linked, omega, x, y, centre, gram, moment, null, beta)

    def effects(self) -> Array:
        """tau of every observed cell, NaN where it is not identified, shape (N, T)."""
        return np.where(self.linked, self.outcome - self._fitted(self.beta), np.nan)

    def untreated(self) -> Array:
        """Untreated outcomes, NaN where they are not identified, shape (N, T)."""
        level = self.centre[:, None] + self._fitted(self.beta)
        return np.where(self.linked, level, np.nan)

    def sums_without(self, cells: EffectCells, cluster: Codes) -> tuple[Array, Array]:
        """(S, W) of the groups when each cluster in turn is left out, shape (G, K) each.

        Parameters
        ----------
        cells : EffectCells
            Identified ones.
        cluster : ndarray of int, shape (N,)
            Codes 0 .. G - 1.
        """
        n_groups, n_clusters = len(cells.event), int(cluster.max()) + 1
        r, omega = self._deviations(cells.unit, cells.period), cells.weight
        y = self.outcome[cells.unit, cells.period]
        own_y, own_r = (
            np.bincount(cells.group, omega * y, n_groups),
            np.zeros((n_groups, r.shape[1])),
        )
        np.add.at(own_r, cells.group, omega[:, None] * r)
        sums, mass = np.zeros((n_clusters, n_groups)), np.tile(cells.mass, (n_clusters, 1))
        owner = cluster[cells.unit]
        np.subtract.at(mass, (owner, cells.group), omega)
        for start in range(0, n_clusters, _CHUNK):
            stop = min(start + _CHUNK, n_clusters)
            whole, beta = self._fits_without(cluster, start, stop)
            sums[start:stop] = own_y - beta @ own_r.T
            mine = (owner >= start) & (owner < stop)
            tau = y[mine] - np.sum(r[mine] * beta[owner[mine] - start], axis=1)
            np.subtract.at(sums, (owner[mine], cells.group[mine]), omega[mine] * tau)
            for c in start + np.flatnonzero(~whole):
                sums[c], mass[c] = self._sums_of_rest(cells, cluster != c, beta[c - start])
        return sums, mass

    def weights(self, cells: EffectCells, w: Array) -> Array:
        """Weights v of the outcomes in sum w tau, shape (N, T).

        Parameters
        ----------
        cells : EffectCells
        w : ndarray, shape (m,)
            Of the effects of the cells.
        """
        direct = np.zeros(self.seen.shape)
        np.add.at(direct, (cells.unit, cells.period), w)
        target = w @ self._deviations(cells.unit, cells.period)
        i, t = np.nonzero(self.seen)
        solution = _solved(self.gram + self.null, target)[1]
        indirect = np.zeros(self.seen.shape)
        indirect[i, t] = -self.omega[i] * (self._deviations(i, t) @ solution)
        share = direct.sum(axis=1) / np.maximum(self.seen.sum(axis=1), 1)
        return direct + indirect - np.where(self.seen, share[:, None], 0.0)

    def _fits_without(self, cluster: Codes, start: int, stop: int) -> tuple[Mask, Array]:
        """Whether as much is identified without each of the clusters start .. stop - 1; beta."""
        inside = (cluster >= start) & (cluster < stop)
        gram, moment = self._equations(np.where(inside, cluster - start, -1), stop - start)
        solved = [
            _solved(self.gram + self.null - g, self.moment - h)
            for g, h in zip(gram, moment, strict=True)
        ]
        return np.array([whole for whole, _ in solved]), np.array([beta for _, beta in solved])

    def _sums_of_rest(self, cells: EffectCells, kept: Mask, beta: Array) -> tuple[Array, Array]:
        """(S, W) of units whose panel falls apart without the others: what is still identified."""
        blank = np.zeros(self.seen.shape)
        period = np.arange(self.seen.shape[1], dtype=np.float64)
        part = PanelCells(blank, self.covariates, self.seen & kept[:, None], period)
        linked = TwoWay().fit(part).linked
        tau = np.where(linked, self.outcome - self._fitted(beta), np.nan)
        return cells.sums(tau, kept)

    def _equations(self, code: Codes, n_codes: int) -> tuple[Array, Array]:
        """(H_c, h_c) of the codes 0 .. n_codes - 1; units of code -1 are left aside."""
        rows = code >= 0
        code, o = code[rows], self.seen[rows].astype(float)
        omega, count = self.omega[rows], np.maximum(o.sum(axis=1), 1.0)
        x = np.where(o[..., None] > 0, self.covariates[rows], 0.0)
        x = np.where(o[..., None] > 0, x - (x.sum(axis=1) / count[:, None])[:, None], 0.0)
        y, n_periods = self.outcome[rows] * o, o.shape[1]
        gram = np.zeros((n_codes, *self.gram.shape))
        moment = np.zeros((n_codes, len(self.moment)))
        diagonal = np.zeros((n_codes, n_periods))
        np.add.at(diagonal, code, omega[:, None] * o)
        for c in np.unique(code):
            mine = code == c
            wo, wx = omega[mine, None] * o[mine], omega[mine, None, None] * x[mine]
            gram[c, :n_periods, :n_periods] = -(wo / count[mine, None]).T @ o[mine]
            gram[c, :n_periods, n_periods:] = wx.sum(axis=0)
            gram[c, n_periods:, :n_periods] = wx.sum(axis=0).T
            gram[c, n_periods:, n_periods:] = np.einsum("itp,itq->pq", wx, x[mine])
            moment[c, :n_periods] = omega[mine] @ y[mine]
            moment[c, n_periods:] = np.einsum("itp,it->p", wx, y[mine])
        place = np.arange(n_periods)
        gram[:, place, place] += diagonal
        return gram, moment

    def _deviations(self, unit: Codes, period: Codes) -> Array:
        """r_it - r_i. of cells, shape (m, k)."""
        o = self.seen.astype(float) / np.maximum(self.seen.sum(axis=1, keepdims=True), 1)
        indicators = -o[unit]
        indicators[np.arange(len(unit)), period] += 1.0
        x = self.covariates[unit, period] - _means(self.covariates, self.seen)[unit]
        return np.hstack([indicators, x])

    def _fitted(self, beta: Array) -> Array:
        """(r_it - r_i.)' beta of all cells, shape (N, T)."""
        n_periods = self.seen.shape[1]
        f, b = beta[:n_periods], beta[n_periods:]
        count = np.maximum(self.seen.sum(axis=1), 1)
        x = self.covariates - _means(self.covariates, self.seen)[:, None]
        return np.asarray(f - (self.seen @ f / count)[:, None] + x @ b)


def _means(values: Array, seen: Mask) -> Array:
    """Means of each unit over its seen cells, shape (N, p)."""
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return np.where(seen[..., None], values, 0.0).sum(axis=1) / count


def _null_and_solution(gram: Array, moment: Array) -> tuple[Array, Array]:
    """A projector on the null space, as large as the matrix, and the least-norm solution."""
    size, vectors = np.linalg.eigh(gram)
    null = size <= _RANK * size[-1]
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=~null)
    missing = vectors[:, null]
    return size[-1] * missing @ missing.T, vectors @ (inverse * (vectors.T @ moment))


def _solved(gram: Array, moment: Array) -> tuple[bool, Array]:
    """Whether the equations are regular, and their (least-norm) solution."""
    try:
        factor = cho_factor(gram, lower=True)
    except np.linalg.LinAlgError:  # no Cholesky factor: the matrix is singular
        return False, _null_and_solution(gram, moment)[1]
    pivots = np.diag(factor[0]) ** 2
    if pivots.min() > _RANK * pivots.max():
        return True, np.asarray(cho_solve(factor, moment))
    return False, _null_and_solution(gram, moment)[1]
