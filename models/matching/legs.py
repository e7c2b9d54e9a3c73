"""Records of one account that are one call: a tree of parents, orphans of one missing parent, mirrored records."""

from typing import NamedTuple

import numpy as np

from models.calibration.columns import SECOND, Bools, Ints, Records, pair_keys, spread_hash
from models.calibration.neighbours import components, near
from models.vocabulary import Direction

LEG_REACH = 4 * 3600 * SECOND
"""Records further apart are no legs of one call, whatever they name as parent."""
MIRROR_REACH = 10 * SECOND
"""One clock wrote both: only the set-up of the call lies between them."""

_OPPOSITE = {Direction.INBOUND: Direction.OUTBOUND, Direction.OUTBOUND: Direction.INBOUND}


class Legs(NamedTuple):
    """Of each record, by position."""

    root: Ints
    """The position of the record its call hangs on; its own for a root."""
    speaks: Bools
    """Whether its outcome is the call's: a root's is, save that a telephone leg speaks for an agent's end above it."""


def legs(records: Records, joined: tuple[Ints, Ints] | None = None) -> Legs:
    """Groups the records of each account; `joined` are further pairs that a person said are one."""
    links = [_family(records), _mirrors(records), joined or (_NONE, _NONE)]
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    group = components(len(records), left, right)
    root = _roots(records, group)
    return Legs(root, _speakers(records, root))


def family(records: Records, joined: tuple[Ints, Ints] | None = None) -> Ints:
    """Of each record, the position of the first of its family: records that the provider, or a person, makes one."""
    links = [_family(records), _mirrors(records), joined or (_NONE, _NONE)]
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    group = components(len(records), left, right)
    first = np.unique(group, return_index=True)[1]
    return first[group]


def roots(records: Records, call: Ints) -> Legs:
    """Of each account's records in a call one is the root: parentless before a child, then the best outcome, then the
    earliest; a telephone leg speaks for an agent's end above it.
    """
    group = call * (int(records["account"].max(initial=0)) + 1) + records["account"]
    own_parent = _has_parent_here(records)
    outcome = np.where(records["client"] != 0, 0, records["outcome"])
    order = np.lexsort((records["external"], records["started"], outcome, own_parent, group))
    _, first, inverse = np.unique(group[order], return_index=True, return_inverse=True)
    root = np.empty(len(records), np.int64)
    root[order] = order[first[inverse]]
    return Legs(root, _speakers(records, root))


_NONE = np.empty(0, np.int64)


def _family(records: Records) -> tuple[Ints, Ints]:
    """Each record and the first of its account that is, or names, the same parent."""
    children = np.flatnonzero(records["parent"])
    if not children.size:
        return _NONE, _NONE
    salt = spread_hash(records["account"].astype(np.int64) + 1)
    own, named = records["external"] ^ salt, records["parent"] ^ salt
    parents = np.flatnonzero(np.isin(own, named[children]))
    keys = np.concatenate([own[parents], named[children]])
    members = np.concatenate([parents, children])
    order = np.lexsort((records["started"][members], keys))
    keys, members = keys[order], members[order]
    started = records["started"][members]
    linked = (keys[1:] == keys[:-1]) & (started[1:] - started[:-1] <= LEG_REACH)
    return members[:-1][linked], members[1:][linked]


def _mirrors(records: Records) -> tuple[Ints, Ints]:
    """Records of one account with each other's numbers and opposite directions: our own lines calling each other."""
    inbound, outbound = (np.flatnonzero(records["direction"] == list(Direction).index(way)) for way in _OPPOSITE)
    keys = pair_keys(records) ^ spread_hash(records["account"].astype(np.int64))
    started = records["started"]
    i, j = near((keys[inbound], keys[outbound]), (started[inbound], started[outbound]), MIRROR_REACH)
    i, j = inbound[i], outbound[j]
    mirrored = (records["remote"][i] == records["own"][j]) & (records["own"][i] == records["remote"][j])
    mirrored &= (records["remote"][i] != 0) & (records["remote"][i] != records["own"][i])
    return mutual_nearest(i[mirrored], j[mirrored], np.abs(started[i] - started[j])[mirrored])


def mutual_nearest(left: Ints, right: Ints, distance: Ints) -> tuple[Ints, Ints]:
    """Of the pairs those that are the first choice of both sides; ties by position."""
    order = np.lexsort((right, left, distance))
    left, right = left[order], right[order]
    first = np.zeros(left.size, bool)
    first[np.unique(left, return_index=True)[1]] = True
    best = np.zeros(right.size, bool)
    best[np.unique(right, return_index=True)[1]] = True
    return left[first & best], right[first & best]


def _roots(records: Records, group: Ints) -> Ints:
    """The position of the root of each record's group: parentless before a child, then the earliest."""
    has_parent_here = _has_parent_here(records)
    order = np.lexsort((records["id"], records["started"], has_parent_here, group))
    first = order[np.unique(group[order], return_index=True)[1]]
    root = np.empty(len(records), np.int64)
    root[np.arange(len(records))] = first[np.unique(group, return_inverse=True)[1]]
    return root


def _has_parent_here(records: Records) -> Bools:
    salt = spread_hash(records["account"].astype(np.int64) + 1)
    held: Bools = (records["parent"] != 0) & np.isin(records["parent"] ^ salt, records["external"] ^ salt)
    return held


def _speakers(records: Records, root: Ints) -> Bools:
    is_root = root == np.arange(len(records))
    is_client = records["client"] != 0
    telephone_leg = ~is_root & ~is_client & is_client[root]
    spoken_for = np.zeros(len(records), bool)
    spoken_for[root[telephone_leg]] = True
    speaks: Bools = (is_root & ~spoken_for) | telephone_leg
    return speaks
