import pytest
import torch
from support.statistics import layout_of, moments_of

from lmms_manu.errors import SettingError
from lmms_manu.measuring.layout import BlockEntry, NeuronLayout
from lmms_manu.measuring.parts import PARTS
from lmms_manu.methods.manu.config import RECIPES, ManuSettings, for_modalities
from lmms_manu.methods.manu.scope import check_choice, choose, score
from lmms_manu.models.tower_names import TOWERS

# The first language layer has two blocks, as one with experts and a block that all tokens see.
LAYOUT = NeuronLayout(
    (
        BlockEntry("experts", "language", 0, 6),
        BlockEntry("shared", "language", 0, 4),
        BlockEntry("second", "language", 1, 10),
        BlockEntry("picture", "vision", 0, 20),
    )
)
GROUPS = {
    "global": [range(40)],
    "tower": [range(20), range(20, 40)],
    "layer": [range(10), range(10, 20), range(20, 40)],
}


@pytest.mark.parametrize("scope", GROUPS)
def test_each_group_of_a_scope_gives_its_own_share_and_its_highest_scores(scope):
    choice = choose(LAYOUT, None, ManuSettings(recipe="random", scope=scope, prune_rate=25))
    for group in GROUPS[scope]:
        marked, scores = choice.marked[group.start : group.stop], choice.scores[group.start : group.stop]
        assert int(marked.sum()) == len(group) // 4
        assert scores[marked].min() > scores[~marked].max()


def test_left_out_towers_and_layers_are_neither_pruned_nor_counted():
    settings = ManuSettings(recipe="random", towers="language", layers="0", prune_rate=50)
    assert choose(LAYOUT, None, settings).marked.nonzero().max() < 10
    assert choose(LAYOUT, None, settings).marked.sum() == 5


@pytest.mark.parametrize(("towers", "layers"), [("both", "0-2"), ("vision", "0-1"), ("language", "1+7")])
def test_a_layer_that_no_tower_has_is_refused(towers, layers):
    with pytest.raises(SettingError, match="there is no layer"):
        check_choice(LAYOUT, ManuSettings(recipe="random", towers=towers, layers=layers))


def test_a_layer_that_one_of_the_towers_has_is_enough():
    check_choice(LAYOUT, ManuSettings(recipe="random", layers="1"))


def test_what_earlier_rounds_pruned_stays_and_counts_in_its_group():
    first = torch.zeros(40, dtype=torch.bool)
    first[[0, 1, 25]] = True
    settings = ManuSettings(recipe="random", scope="layer", prune_rate=20)
    marked = choose(LAYOUT, None, settings, chosen=first).marked
    assert marked[first].all()
    assert [int(marked[group.start : group.stop].sum()) for group in GROUPS["layer"]] == [2, 2, 4]


@pytest.mark.parametrize("settings", [{}, {"scope": "tower"}, {"random_like": "ratio"}])
def test_uniform_takes_as_many_of_each_layer_as_evens_out_what_each_tower_loses(settings):
    statistics = moments_of(
        torch.rand(4, 5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(3)),
        NeuronLayout(tuple(BlockEntry(f"{tower} {layer}", tower, layer, 10) for tower in TOWERS for layer in (0, 1))),
    )
    settings = {"recipe": "random" if settings else "ratio", "prune_rate": 35, **settings}
    scored = ManuSettings(recipe="ratio")
    scores = score(statistics, scored)
    uneven = choose(statistics.layout, scores, ManuSettings(**settings)).marked.view(2, 2, 10)
    even = choose(statistics.layout, scores, ManuSettings(**settings, uniform=True))
    assert uneven.sum(-1).unique().numel() > 1 or "scope" in settings
    marked, scores = even.marked.view(4, 10), even.scores.view(4, 10)
    assert marked.sum(-1).tolist() == [int(tower.sum()) // 2 for tower in uneven for _ in range(2)]
    for own, taken in zip(scores, marked, strict=True):
        assert own[taken].min() > own[~taken].max()


def test_uniform_rounds_leave_every_layer_with_the_same_number():
    settings = ManuSettings(recipe="random", towers="language", prune_rate=50, uniform=True)
    first = choose(LAYOUT, None, settings, share=0.5)
    last = choose(LAYOUT, None, settings, chosen=first.marked)
    assert [int(choice.marked[:10].sum()) for choice in (first, last)] == [2, 5]
    assert [int(choice.marked[10:20].sum()) for choice in (first, last)] == [2, 5]
    assert last.marked[first.marked].all()


def text_alone():
    """Statistics of text, on which the three vision neurons never run."""
    values = torch.rand(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values[..., 5:] = 0
    return moments_of(values, layout_of(5, 3), [part for part in PARTS if part.modality == "text"])


@pytest.mark.parametrize("recipe", ["released", "ratio"])
def test_without_pictures_the_language_tower_alone_is_pruned_and_counted(recipe):
    statistics = text_alone()
    settings = for_modalities(ManuSettings(recipe=recipe, prune_rate=40), statistics.modalities)
    marked = choose(statistics.layout, score(statistics, settings), settings).marked
    assert marked.sum() == 2
    assert not marked[statistics.layout.vision].any()


@pytest.mark.parametrize("recipe", ["paper", "invariant"])
def test_a_recipe_that_compares_modalities_needs_both(recipe):
    with pytest.raises(SettingError, match=f"recipe={recipe} compares .* no multimodal .* choose released or ratio"):
        for_modalities(ManuSettings(recipe=recipe), ("text",))
    with pytest.raises(SettingError, match=f"recipe={recipe} compares"):
        score(text_alone(), ManuSettings(recipe=recipe))


def test_the_vision_tower_alone_needs_pictures():
    with pytest.raises(SettingError, match=r"towers=vision .*without pictures"):
        for_modalities(ManuSettings(recipe="ratio", towers="vision"), ("text",))


@pytest.mark.parametrize("recipe", RECIPES)
def test_with_both_modalities_the_settings_stay_as_they_are(recipe):
    settings = ManuSettings(recipe=recipe)
    assert for_modalities(settings, ("multimodal", "text")) is settings
