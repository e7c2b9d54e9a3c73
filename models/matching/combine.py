"""From pairs of records to real calls, over all accounts; never are two calls of one account in one."""

import numpy as np

from models.calibration.columns import Bools, Ints
from models.calibration.neighbours import components
from models.matching.closed import Closed
from models.matching.judgements import Judgements
from models.matching.pairing import Pairs, Within

UNHEARD = 0.005
"""Probability of a pair that is not spoken of."""
EVEN = 0.5
FURTHER = 1.0
"""Nats that one more account says by holding the call, beside what its times repeat."""
RUN = 0.5
"""Probability from which rows of one account may meet in a call by way of another account's row."""


def combine(held: Closed, pairs: Pairs, within: Within, join: float) -> Ints:
    """Of each record, the position of the lowest record of its real call; `join` is when a pair is believed."""
    account, family, said = held.records["account"], held.family, held.said
    size = account.size
    every = np.arange(size)
    sure = within.probability >= join
    firm = components(size, *_edges((every, family), (within.left[sure], within.right[sure]), _said(said)))
    likely = within.probability > RUN
    loose = components(size, *_edges((every, firm_first(firm)), (within.left[likely], within.right[likely])))
    hopeful = pairs.only(pairs.probability >= EVEN)
    believed = pairs.only(pairs.probability >= join)
    whole = components(size, *_edges((every, firm_first(firm)), (hopeful.left, hopeful.right)))
    fine = _is_fine(whole, loose, account, said) & _agree(whole, account, believed)
    fine[whole[hopeful.left[hopeful.probability < join]]] = False
    label = np.where(fine[whole], firm_first(whole), firm_first(firm))
    rest = pairs.only(~fine[whole[pairs.left]] & ~fine[whole[pairs.right]])
    return _OneByOne(account, loose, said, rest).joined(label, join)


def firm_first(group: Ints) -> Ints:
    """Of each record, the position of the first one of its group."""
    first = np.unique(group, return_index=True)[1]
    return first[np.unique(group, return_inverse=True)[1]]


def _edges(*pairs: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    return np.concatenate([left for left, _ in pairs]), np.concatenate([right for _, right in pairs])


def _said(said: Judgements) -> tuple[Ints, Ints]:
    left, right = np.array(sorted(said.sets.items()), np.int64).reshape(-1, 2).T
    return left, right


def _is_fine(whole: Ints, loose: Ints, account: Ints, said: Judgements) -> Bools:
    """Groups in which each account has one run of rows, and no person parted any."""
    count = int(whole.max(initial=-1)) + 1
    order = np.lexsort((loose, account, whole))
    group, run = whole[order], loose[order]
    differs = np.zeros(order.size, bool)
    differs[1:] = (group[1:] == group[:-1]) & (account[order][1:] == account[order][:-1]) & (run[1:] != run[:-1])
    fine: Bools = np.bincount(group, differs, count) == 0
    named = np.array(sorted(said.sets), np.int64)
    if said.barred:
        fine[whole[named]] = False
    return fine


def _agree(whole: Ints, account: Ints, believed: Pairs) -> Bools:
    """Groups in which every two accounts have a pair that is believed."""
    count, most = int(whole.max(initial=-1)) + 1, int(account.max(initial=0)) + 1
    accounts = np.unique(whole * most + account) // most
    held = np.bincount(accounts, minlength=count)
    group = whole[believed.left]
    pairs = np.unique((group * most + account[believed.left]) * most + account[believed.right]) // most**2
    found: Bools = np.bincount(pairs, minlength=count) * 2 >= held * (held - 1)
    return found


class _OneByOne:
    """Groups in which pairs contradict each other: the surest are joined first, unless two runs of an account would
    meet, or what all pairs of accounts say of the two parts does not bear it.
    """

    def __init__(self, account: Ints, loose: Ints, said: Judgements, pairs: Pairs) -> None:
        self.account, self.loose, self.said, self.pairs = account, loose, said, pairs
        ends = zip(pairs.left.tolist(), pairs.right.tolist(), pairs.probability.tolist(), strict=True)
        self.probability = {(left, right): share for left, right, share in ends}
        self.members: dict[int, list[int]] = {}
        self.top: dict[int, int] = {}

    def joined(self, label: Ints, join: float) -> Ints:
        pairs = self.pairs
        wanted = np.flatnonzero(np.isin(label, label[np.union1d(pairs.left, pairs.right)]))
        for place in wanted.tolist():
            self.members.setdefault(int(label[place]), []).append(place)
        sure = np.flatnonzero(pairs.probability >= EVEN)
        order = sure[np.lexsort((pairs.right[sure], pairs.left[sure], -pairs.probability[sure]))]
        for left, right in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
            one, other = sorted((self._find(int(label[left])), self._find(int(label[right]))))
            if one != other and self._may_meet(self.members[one], self.members[other], join):
                self.top[other] = one
                self.members[one] += self.members.pop(other)
        found = label.copy()
        for places in self.members.values():
            found[places] = min(places)
        return found

    def _find(self, one: int) -> int:
        while self.top.get(one, one) != one:
            one = self.top[one]
        return one

    def _may_meet(self, ones: list[int], others: list[int], join: float) -> bool:
        runs: dict[int, set[int]] = {}
        for one in ones:
            runs.setdefault(int(self.account[one]), set()).add(int(self.loose[one]))
        for other in others:
            if int(self.loose[other]) not in runs.get(int(self.account[other]), {int(self.loose[other])}):
                return False
        if any(self.said.bars(one, other) for one in ones for other in others):
            return False
        return bool(self._together(ones, others) >= np.log(join / (1 - join)))

    def _together(self, ones: list[int], others: list[int]) -> float:
        """Nats of two parts being one call.

        The mean over pairs of accounts, whose clocks tell the same story twice; where all agree, also that each further
        account would have missed the call otherwise.
        """
        best: dict[tuple[int, int], float] = {}
        for one in ones:
            for other in others:
                key = int(self.account[one]), int(self.account[other])
                if key[0] != key[1]:
                    share = self.probability.get((one, other), self.probability.get((other, one), UNHEARD))
                    best[key] = max(best.get(key, UNHEARD), share)
        shares = np.clip(np.array(list(best.values())), UNHEARD, 1 - 1e-9)
        nats = np.log(shares / (1 - shares))
        if not shares.size:
            return np.inf
        return float(nats.mean() + (FURTHER * (nats.size - 1) if shares.min() >= EVEN else 0.0))
