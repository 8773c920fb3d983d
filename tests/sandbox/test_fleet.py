from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from pondctl.errors import UsageError
from pondctl.models import luhn_holds, normalize_iccid
from pondctl.sandbox import FleetMix, SandboxConfig
from pondctl.sandbox.fleet import Fleet, seeded_devices, seeded_iccids, seeded_pond_iccids


def test_the_same_seed_makes_the_same_fleet_and_another_seed_another() -> None:
    def fleet(seed: int) -> list[tuple[str, str, str | None]]:
        return list(seeded_devices(SandboxConfig(devices=500, seed=seed)))

    assert fleet(7) == fleet(7)
    assert not {row[0] for row in fleet(7)} & {row[0] for row in fleet(8)}
    assert [row[1] for row in fleet(7)] != [row[1] for row in fleet(8)]


@pytest.mark.parametrize(("devices", "iccids"), [(10_000, seeded_iccids), (0, seeded_pond_iccids)])
def test_every_iccid_is_one_and_comes_once(devices: int, iccids: object) -> None:
    config = SandboxConfig(devices=devices, pond_sims=10_000)
    found = list(iccids(config))  # type: ignore[operator]

    assert len(set(found)) == 10_000
    assert all(normalize_iccid(iccid) == iccid and luhn_holds(iccid) for iccid in found)


def test_the_shares_of_the_mix_are_met_closely() -> None:
    mix = FleetMix(pending=0.3, suspended=0.1, deactive=0.05, without_number=0.02, odd=0.03)

    states = Counter(state for _, state, _ in seeded_devices(SandboxConfig(devices=10_000, mix=mix)))

    assert states["pending activation"] == pytest.approx(3000, abs=10)
    assert states["suspend"] == pytest.approx(1000, abs=10)
    assert states["deactive"] == pytest.approx(500, abs=10)
    assert states["active"] == pytest.approx(5200, abs=10)
    assert sum(states[odd] for odd in ("pending deactivation", "pre-active", "under review")) >= 290


def test_only_active_and_suspended_devices_have_a_number_and_some_active_ones_have_none() -> None:
    devices = list(seeded_devices(SandboxConfig(devices=1000)))

    assert {state for _, state, msisdn in devices if msisdn} == {"active", "suspend"}
    assert [state for _, state, msisdn in devices if not msisdn].count("active") == pytest.approx(10, abs=2)
    assert all(len(msisdn) == 11 and msisdn.startswith("1201") for _, _, msisdn in devices if msisdn)


def test_an_index_is_read_back_from_its_iccid_alone() -> None:
    fleet = Fleet(SandboxConfig(devices=1_000_000_000))

    for index in (0, 1, 9_999, 10_000, 123_456_789, 999_999_999):
        assert fleet.index_of(fleet.iccid(index)) == index


def test_what_is_not_of_the_fleet_has_no_index() -> None:
    fleet = Fleet(SandboxConfig(devices=10))
    iccid = fleet.iccid(3)
    wrong_check = iccid[:-1] + str((int(iccid[-1]) + 1) % 10)

    for other in ("", "89", wrong_check, iccid + "0", "8" + iccid, iccid[:-2] + "٣" + iccid[-1], "x" * 20):
        assert fleet.index_of(other) is None
    assert Fleet(SandboxConfig(devices=3)).index_of(iccid) is None


def test_a_fleet_of_a_thousand_million_devices_starts_at_once() -> None:
    assert len(list(islice(seeded_iccids(SandboxConfig(devices=1_000_000_000)), 5))) == 5


@pytest.mark.parametrize("mix", [{"pending": -0.1}, {"pending": 0.9, "odd": 0.2}])
def test_shares_that_are_no_shares_are_refused(mix: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        FleetMix(**mix)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="loopback"):
        SandboxConfig(host=host)


@pytest.mark.parametrize("setting", ["devices", "pond_sims", "latency_ms", "activation_seconds"])
def test_a_negative_size_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match="negative"):
        SandboxConfig(**{setting: -1})  # type: ignore[arg-type]
