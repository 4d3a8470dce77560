"""Networks from matrices, links and positions, and what is read from them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from causal_ddpm import DataError, Network

LINE = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=float)


def test_share_is_the_weighted_mean_among_neighbours():
    weights = np.array([[9.0, 1.0, 3.0], [0.0, 5.0, 0.0], [2.0, 0.0, 0.0]])
    network = Network.of(weights)
    np.testing.assert_array_equal(network.degree, [2, 0, 1])
    np.testing.assert_allclose(network.share([1.0, 0.0, 1.0]), [0.75, np.nan, 1.0])


def test_missing_values_of_neighbours_are_left_out():
    network = Network.of(np.ones((3, 3)))
    np.testing.assert_allclose(network.share([1.0, np.nan, 3.0]), [3.0, 2.0, 1.0])


def test_a_sparse_and_a_dense_matrix_give_the_same_network():
    np.testing.assert_array_equal(
        Network.of(csr_array(LINE)).weights.toarray(), Network.of(LINE).weights.toarray()
    )


def test_reach_counts_links_in_either_direction():
    one_way = Network.of(np.triu(LINE))
    np.testing.assert_array_equal(one_way.reach(0).toarray(), np.eye(4))
    np.testing.assert_array_equal(one_way.reach(1).toarray(), LINE + np.eye(4))
    two = LINE + np.eye(4)
    two[0, 2] = two[2, 0] = 1
    np.testing.assert_array_equal(one_way.reach(2).toarray(), two)


def test_links_by_name_count_both_ways_unless_directed():
    edges = pd.DataFrame({"from": ["a", "b"], "to": ["b", "c"], "trade": [2.0, 1.0]})
    both = Network.from_edges(edges, "from", "to", ["a", "b", "c"], weight="trade")
    np.testing.assert_array_equal(both.weights.toarray(), [[0, 2, 0], [2, 0, 1], [0, 1, 0]])
    way = Network.from_edges(edges, "from", "to", ["a", "b", "c"], directed=True)
    np.testing.assert_array_equal(way.weights.toarray(), [[0, 1, 0], [0, 0, 1], [0, 0, 0]])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 2.0))
def test_radius_and_nearest_agree_with_all_distances(seed, radius):
    z = np.random.default_rng(seed).random((25, 2))
    distance = cdist(z, z) + np.diag(np.full(25, np.inf))
    near = Network.within(z, radius).weights.toarray()
    np.testing.assert_array_equal(near > 0, distance <= radius)
    nearest = Network.nearest(z, 3).weights.toarray()
    ranked = np.sort(distance, axis=1)[:, [2]]
    np.testing.assert_array_equal(nearest > 0, distance <= ranked)


def test_units_at_one_place_are_neighbours_of_each_other_and_not_of_themselves():
    network = Network.nearest(np.zeros((4, 2)), 2)
    assert network.weights.diagonal().sum() == 0
    np.testing.assert_array_equal(network.degree, 2)


def test_kilometres_follow_the_surface():
    paris, berlin, sydney = (2.3522, 48.8566), (13.405, 52.52), (151.2093, -33.8688)
    places = np.array([paris, berlin, sydney])
    # 878 km and 16 960 km along great circles
    assert Network.within(places, 870, "kilometres").degree.tolist() == [0, 0, 0]
    assert Network.within(places, 890, "kilometres").degree.tolist() == [1, 1, 0]
    assert Network.within(places, 20_100, "kilometres").degree.tolist() == [2, 2, 2]


def test_a_part_of_a_network_keeps_the_links_inside():
    part = Network.of(LINE).rows(np.array([1, 2]))
    np.testing.assert_array_equal(part.weights.toarray(), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Network.of(np.ones((2, 3))), "the matrix of weights has shape \\(2, 3\\)"),
        (lambda: Network.of(-LINE), "negative or not finite"),
        (lambda: Network.within(np.zeros((3, 2)), 0.0), "the radius is 0.0"),
        (lambda: Network.within([[0.0, np.nan]], 1.0), "some are missing"),
        (lambda: Network.within([[0.0, 95.0]], 1.0, "kilometres"), "not on the globe"),
        (lambda: Network.within([[0.0, 5.0]], 1.0, "miles"), "the metric is 'miles'"),
        (lambda: Network.nearest(np.zeros((3, 2)), 3), "k is 3"),
        (lambda: Network.of(LINE).reach(-1), "reach is -1 links"),
        (
            lambda: Network.from_edges(pd.DataFrame({"a": ["x"], "b": ["?"]}), "a", "b", ["x"]),
            "1 links name a unit that the data do not have, such as '\\?'",
        ),
        (
            lambda: Network.from_edges(
                pd.DataFrame({"a": ["x"], "b": ["x"]}), "a", "b", ["x", "x"]
            ),
            "a unit is listed twice",
        ),
    ],
)
def test_bad_networks_get_a_sentence(make, sentence):
    with pytest.raises(DataError, match=sentence):
        make()


def test_too_many_pairs_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr("causal_ddpm.core.network.MOST_PAIRS", 50)
    with pytest.raises(DataError, match="100 pairs of units count for each other"):
        Network.within(np.zeros((10, 2)), 1.0)
