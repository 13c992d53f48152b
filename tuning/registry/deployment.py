"""Deploy versions on Vertex AI, move the traffic to the champion, and show the registry there.

A model of tuner hf runs on a machine with a GPU at the bucket's endpoint, in the container that Model Registry names. A
tuned Gemini has an endpoint of its own, which Google's tuning makes and which costs nothing while nobody asks.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime

from tuning.cloud.endpoint import (
    Deployed,
    Endpoint,
    EndpointChangedError,
    create_endpoint,
    deploy_model,
    find_endpoint,
    set_traffic,
    settled_endpoint,
    undeploy_model,
)
from tuning.cloud.model_registry import find_model
from tuning.command_line.options import DeployOptions
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.mirror import mirror, why_not_served
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.gemini.prices import MACHINES, staleness

Show = Callable[[str], None]

MACHINE = "g2-standard-8"
# The GPU that is part of a series of machines: https://cloud.google.com/vertex-ai/docs/predictions/configure-compute
_ACCELERATORS = {
    "g2-standard": "NVIDIA_L4",
    "a2-highgpu": "NVIDIA_TESLA_A100",
    "a2-ultragpu": "NVIDIA_A100_80GB",
    "a3-highgpu": "NVIDIA_H100_80GB",
}
_PRICED_REGION = "us-central1"
_MOST_TRIES = 20
_STOP = "`invoke deploy --undeploy --target gcp`"


def deploy(settings: Settings, options: DeployOptions, show: Show) -> None:
    """Deploy a version, and give it its share of the traffic. Show the price before anything is sent.

    A version that is deployed already is not deployed again: only the traffic moves. Raises TuningError if options do
    not fit, if the price is above the budget, or if Google refuses a call.
    """
    require_google(settings)
    version = registry.find_version(settings, options.model or "champion")
    if version.tuner == "gemini":
        _show_own_endpoint(settings, version, options, show)
        return
    if version.tuner != "hf":
        raise TuningError(f"no container serves models of {version.tuner}, such as {version.name}", "Choose another")
    if reason := why_not_served(settings, version):
        raise TuningError(f"{version.name} cannot be deployed: {reason}")
    endpoint = settled_endpoint(settings)
    machine = _machine(version.name, options, endpoint)
    share = options.traffic or 100
    if share < 100 and not (endpoint and _shares(endpoint, version.name, share)):
        raise TuningError(f"no other version is deployed that keeps the other {100 - share}%", "Leave out --traffic")
    others = [one for one in endpoint.deployed if one.version != machine.version] if endpoint else []
    _check_price(settings, [machine, *others], options, show)
    if endpoint is None:
        create_endpoint(settings)
    if endpoint is None or endpoint.find(version.name) is None:
        for line in mirror(settings):
            show(line)
        model = find_model(settings, version.name)
        if model is None:
            raise TuningError(f"{version.name} is not in the Model Registry of {settings.region}", "Set TUNING_REGION")
        show(f"starting {version.name} on {machine.machine} with {machine.accelerator}, which can take half an hour")
        deploy_model(settings, version.name, model, machine.machine, machine.accelerator)
    _share(settings, version.name, share, show)


def roll_back(settings: Settings, show: Show) -> None:
    """Give all traffic to the version that had most of it before the last change.

    If the last change was a rollback, nothing changes, so that a command that was killed can be repeated. Raises
    TuningError if there is no such version at the endpoint, or if Google refuses a call.
    """
    require_google(settings)
    endpoint = settled_endpoint(settings)
    if endpoint and (now := endpoint.rolled_back_to):
        others = [one.version for one in endpoint.deployed if one.version != now]
        further = f". `invoke deploy {others[0]} --target gcp` gives all requests to {others[0]}" if others else ""
        show(f"rolled back to {now} already: nothing changed{further}")
        return
    before = endpoint.before if endpoint else ""
    if endpoint is None or not before:
        raise TuningError("the traffic was never moved, so there is nothing to roll back", "See `invoke models`")
    if endpoint.find(before) is None:
        raise TuningError(
            f"{before}, which answered before, is not deployed any more",
            f"`invoke deploy --model {before} --target gcp` deploys it",
        )
    _share(settings, before, 100, show, is_rollback=True)


def undeploy(settings: Settings, name: str, show: Show) -> None:
    """Stop the machine of the version `name`, or all machines of the endpoint if `name` is ''.

    The endpoint itself stays, so that its address does not change; it costs nothing. Raises TuningError if the version
    is not deployed or has traffic that another version must take first, or if Google refuses a call.
    """
    require_google(settings)
    name = registry.find_version(settings, name).name if name == "champion" else name
    endpoint = settled_endpoint(settings)
    deployed = endpoint.deployed if endpoint else []
    chosen = [one for one in deployed if name in ("", one.version)]
    if endpoint is None or not chosen:
        raise TuningError(f"{name} is not deployed" if name else "no version is deployed")
    if name and chosen[0].traffic and len(deployed) > 1:
        other = next(one for one in deployed if one.version != name)
        raise TuningError(
            f"{name} gets {chosen[0].traffic}% of the traffic",
            f"`invoke deploy --model {other.version} --target gcp` moves it first, and {_STOP} stops all",
        )
    if sum(one.traffic > 0 for one in chosen) > 1:  # Google stops only one that is alone or has no traffic
        set_traffic(settings, endpoint, {chosen[0].version: 100}, endpoint.before)
    for one in reversed(chosen):
        undeploy_model(settings, one)
        show(f"{one.version} is not deployed any more, and its machine costs nothing now")


def publish(settings: Settings) -> list[str]:
    """Show the registry on Vertex AI: the models in Model Registry, and the champion at the endpoint.

    On target local, do nothing. Return a line for each change. Raises TuningError if a call fails; the message names
    the command to try again.
    """
    if not find_target(settings).uses_google:
        return []
    lines = mirror(settings)
    try:
        return [*lines, *_follow_champion(settings)]
    except TuningError as error:
        raise TuningError(
            f"the registry is up to date, but the requests to the endpoint were not moved ({error})",
            "`invoke deploy --target gcp` moves them to the champion if it is deployed",
        ) from error


def _follow_champion(settings: Settings) -> list[str]:
    """Give all traffic of the endpoint to the champion, if it is deployed there. Else say how to deploy it.

    Done again if the champion or the endpoint changes meanwhile.
    """
    for _ in range(_MOST_TRIES):
        champion, endpoint = registry.champion(settings), find_endpoint(settings)
        if endpoint is None or not endpoint.deployed:
            return []
        serving = endpoint.deployed[0].version
        if champion is None:
            return [f"{serving} is still deployed: {_STOP} stops it"]
        deployed = endpoint.find(champion.name)
        if deployed is None and champion.tuner == "hf" and (reason := why_not_served(settings, champion)):
            return [f"{champion.name} cannot be deployed ({reason}), and {serving} still gets the traffic"]
        if deployed is None:
            return [
                f"{champion.name} is not deployed, and {serving} still gets the traffic: "
                f"`invoke deploy --target gcp` deploys {champion.name}"
            ]
        if deployed.traffic == 100:
            return []
        try:
            set_traffic(settings, endpoint, {champion.name: 100}, _before(endpoint, champion.name))
        except EndpointChangedError:
            continue
        now = registry.champion(settings)
        if now is not None and now.name == champion.name:
            return [f"{champion.name} gets all requests to {endpoint.name}"]
    raise TuningError(f"the endpoint or the champion changed {_MOST_TRIES} times meanwhile")


def require_google(settings: Settings) -> None:
    """Raise TuningError if the target is local, where nothing can be deployed."""
    remedy = "`invoke serve` serves a model on this machine, and --target gcp deploys it"
    find_target(settings).require_google("deploy", remedy)


def _show_own_endpoint(settings: Settings, version: Version, options: DeployOptions, show: Show) -> None:
    refused = sorted({*options.given()} - {"model", "budget"})
    if refused:
        raise TuningError(
            f"{version.name} has an endpoint of its own, without machines and without shares of traffic",
            f"Leave out --{refused[0].replace('_', '-')}",
        )
    show(f"{version.name} is deployed by Google: {registry.describe(settings, version).uri}")
    show("it has no machine of its own: only the tokens of requests and answers cost something")


def _machine(version: str, options: DeployOptions, endpoint: Endpoint | None) -> Deployed:
    """Return the machine on which a version runs or is to run. Raises TuningError if it runs on another one."""
    running = endpoint.find(version) if endpoint else None
    name = options.machine or (running.machine if running else MACHINE)
    accelerator = options.accelerator or (
        running.accelerator if running and not options.machine else _ACCELERATORS.get(name.rpartition("-")[0], "")
    )
    if not accelerator:
        raise TuningError(f"{name} has no GPU of its own", "Name one with --accelerator, such as NVIDIA_TESLA_T4")
    if running and (running.machine, running.accelerator) != (name, accelerator):
        raise TuningError(
            f"{version} runs on {running.machine} with {running.accelerator} already",
            "Leave out --machine and --accelerator, or stop it first: "
            f"`invoke deploy --undeploy --model {version} --target gcp`",
        )
    return running or Deployed(version=version, id=version[1:], machine=name, accelerator=accelerator, traffic=0)


def _check_price(settings: Settings, machines: list[Deployed], options: DeployOptions, show: Show) -> None:
    """Show the price of each machine and of all. Raises TuningError if they exceed the budget for a day."""
    total, notes = 0.0, []
    for one in machines:
        known = MACHINES.get(one.machine)
        if options.hourly_price and one.machine == machines[0].machine:
            price = options.hourly_price
        elif known:
            price = known.dollars
            where = "" if settings.region == _PRICED_REGION else f"; {settings.region} has other prices"
            notes.append(
                f"the price of {one.machine} is computed for {_PRICED_REGION}, from Compute Engine's prices of "
                f"{known.quoted} and Vertex AI's 15%{where}: check {known.page}"
            )
            notes += staleness(known, datetime.now(UTC).date())
        else:
            price = math.nan
        total += price
        show(f"{one.version} on {one.machine} with {one.accelerator}: {_in_words(price)}")
    if len(machines) > 1:
        show(f"in all: {_in_words(total)}")
    for note in [*dict.fromkeys(notes), f"machines cost this whether anybody asks or not, until {_STOP}"]:
        show(f"  {note}")
    budget = settings.budget if options.budget is None else options.budget
    if budget and math.isnan(total):
        raise TuningError(
            "no price is known for a machine, so the budget cannot be checked",
            "Give the price of --machine with --hourly-price, or leave out the budget",
        )
    if budget and total * 24 > budget:
        raise TuningError(
            f"the endpoint would cost {_in_words(total)}, more than the budget of {budget:,.2f} dollars a day",
            "Use a smaller --machine or a larger --budget, or stop a version that is deployed; nothing was sent",
        )


def _in_words(hourly: float) -> str:
    if math.isnan(hourly):
        return "no price known"
    return f"about {hourly:,.2f} dollars an hour, {hourly * 24:,.2f} a day"


def _shares(endpoint: Endpoint, version: str, share: int) -> dict[str, int]:
    """Return the traffic of each version if `version` gets `share` percent. Empty if no version can take the rest."""
    if share == 100:
        return {version: 100}
    others = [one for one in endpoint.deployed if one.version != version]
    rest = next((one for one in others if one.traffic or one.version == endpoint.before), None)
    return {version: share, rest.version: 100 - share} if rest else {}


def _before(endpoint: Endpoint, version: str) -> str:
    """Return to which version a rollback returns after `version` gets traffic."""
    most = endpoint.deployed[0]
    return most.version if most.traffic and most.version != version else endpoint.before


def _share(settings: Settings, version: str, share: int, show: Show, *, is_rollback: bool = False) -> None:
    endpoint = settled_endpoint(settings)
    if endpoint is None or endpoint.find(version) is None:
        raise TuningError(f"{version} was undeployed meanwhile", "Run the same command again")
    shares = _shares(endpoint, version, share)
    if shares == {one.version: one.traffic for one in endpoint.deployed if one.traffic}:
        show(f"{_split(shares)} of {endpoint.name} already: nothing changed")
        return
    set_traffic(settings, endpoint, shares, _before(endpoint, version), version if is_rollback else "")
    show(f"{_split(shares)} of {endpoint.name}")
    for one in endpoint.deployed:
        if one.version not in shares:
            stop = f"`invoke deploy --undeploy --model {one.version} --target gcp`"
            show(f"{one.version} still runs without traffic: {stop} stops it")


def _split(shares: dict[str, int]) -> str:
    return " and ".join(f"{version} gets {share}%" for version, share in shares.items())
