"""Routes that change accounts and markets: money, allowances, bans, session signers, taker delays."""

import msgspec

from clawswarm.model.errors import WireFault
from clawswarm.model.units import format_e6, parse_e6
from clawswarm.sandbox.control.route import LONGEST_S, NS_PER_S, Nothing, Unusable, route
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address
from clawswarm.sandbox.identity.sessions import SessionSigner
from clawswarm.sandbox.identity.wallets import wallets_of
from clawswarm.sandbox.venue import Venue

_OK = {"ok": True}
_LONGEST_DELAY_MS = 60_000
_MOST_E6 = 10**18


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are refused."""


class Fund(_Body, frozen=True, kw_only=True):
    """How much pUSD comes in; negative goes out."""

    address: str
    pusd: str


class Tokens(_Body, frozen=True, kw_only=True):
    """How many shares of each outcome are made from pUSD; negative turns them back."""

    address: str
    market: str
    shares: str


class TakeTokens(_Body, frozen=True, kw_only=True):
    """How many shares of one token leave the wallet."""

    address: str
    token: str
    shares: str


class Allowance(_Body, frozen=True, kw_only=True):
    """What the exchange may take: pUSD (null: any amount), and outcome tokens or not."""

    address: str
    pusd: str | None = None
    tokens: bool = True


class Standing(_Body, frozen=True, kw_only=True):
    """Whether an address, signer or wallet, is banned or may only sell."""

    address: str
    banned: bool = False
    closed_only: bool = False


class Grant(_Body, frozen=True, kw_only=True):
    """Which address may sign for the owner's deposit wallet, and how long; seconds 0 has expired."""

    owner: str
    address: str
    seconds: float = 3600
    scopes: tuple[str, ...] = ("ALL",)


class Revocation(_Body, frozen=True, kw_only=True):
    """Which session signer is revoked."""

    address: str


class Delay(_Body, frozen=True, kw_only=True):
    """How long a market holds marketable orders: with the call waiting, or answered `delayed` at once."""

    market: str
    taker_delay_ms: int = 0
    seconds_delay: int = 0


def fund(venue: Venue, now_ns: int, body: Fund) -> object:
    """Bring pUSD in or take it out."""
    account = _account(venue, body.address)
    amount = _amount(body.pusd)
    if account.collateral_e6 + amount < 0:
        raise Unusable(f"the wallet holds {format_e6(account.collateral_e6)} pUSD")
    venue.exchange.ledger.grant(account, amount)
    venue.publish(venue.exchange.recheck_funds(account, now_ns))
    return _OK


def split(venue: Venue, now_ns: int, body: Tokens) -> object:
    """Make pairs of both outcomes out of pUSD, or pUSD out of pairs."""
    account, market, size = _account(venue, body.address), _market(venue, body.market), _amount(body.shares)
    tokens = (market.yes_token, market.no_token)
    held = min(account.tokens_e6.get(token, 0) for token in tokens)
    if account.collateral_e6 < size or held < -size:
        raise Unusable("the wallet does not hold that much")
    venue.exchange.ledger.split(account, tokens, size)
    venue.publish(venue.exchange.recheck_funds(account, now_ns))
    return _OK


def take_tokens(venue: Venue, now_ns: int, body: TakeTokens) -> object:
    """Let shares leave a wallet, as a transfer on the chain would."""
    account, size = _account(venue, body.address), _amount(body.shares)
    held = account.tokens_e6.get(body.token, 0)
    if not 0 <= size <= held:
        raise Unusable(f"the wallet holds {format_e6(held)} shares of this token")
    account.add(body.token, -size)
    venue.exchange.ledger.house.add(body.token, size)
    venue.publish(venue.exchange.recheck_funds(account, now_ns))
    return _OK


def allowance(venue: Venue, now_ns: int, body: Allowance) -> object:
    """Change what the exchange may take."""
    account = _account(venue, body.address)
    allowed = None if body.pusd is None else _amount(body.pusd)
    if allowed is not None and allowed < 0:
        raise Unusable("an allowance is not negative")
    venue.chain.set_trading_approvals(account, allowed, body.tokens)
    venue.publish(venue.exchange.recheck_funds(account, now_ns))
    return _OK


def standing(venue: Venue, _now_ns: int, body: Standing) -> object:
    """Ban an address or let it only reduce its positions."""
    address = _address(body.address).lower()
    for names, is_in in ((venue.access.banned, body.banned), (venue.access.closed_only, body.closed_only)):
        (names.add if is_in else names.discard)(address)
    return _OK


def authorize(venue: Venue, now_ns: int, body: Grant) -> object:
    """Admit a session signer."""
    if not 0 <= body.seconds <= LONGEST_S * 365:
        raise Unusable("seconds must be between 0 and a year")
    owner = _address(body.owner)
    signer = SessionSigner(
        address=_address(body.address),
        wallet=wallets_of(owner).deposit,
        owner=owner,
        valid_until_s=(now_ns + round(body.seconds * NS_PER_S)) // NS_PER_S,
        scopes=body.scopes,
    )
    try:
        venue.sessions.authorize(signer)
    except VenueRefusal as refusal:
        raise Unusable(refusal.text) from refusal
    venue.trading.account(signer.wallet)
    venue.deploy_wallet(signer.wallet)
    return {"ok": True, "wallet": signer.wallet}


def revoke(venue: Venue, now_ns: int, body: Revocation) -> object:
    """Revoke a session signer."""
    if not venue.revoke_session(_address(body.address), now_ns):
        raise Unusable("address must be one of the session signers that GET /session-signers lists")
    return _OK


def signers(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """All session signers."""
    return [msgspec.to_builtins(signer) for signer in venue.sessions.all()]


def delay(venue: Venue, _now_ns: int, body: Delay) -> object:
    """Change how long a market holds marketable orders."""
    longest = max(body.taker_delay_ms, body.seconds_delay * 1000)
    if min(body.taker_delay_ms, body.seconds_delay) < 0 or longest > _LONGEST_DELAY_MS:
        raise Unusable(f"a delay is between 0 and {_LONGEST_DELAY_MS} ms")
    market = _market(venue, body.market)
    market.taker_delay_ms, market.seconds_delay = body.taker_delay_ms, body.seconds_delay
    return _OK


def _market(venue: Venue, condition_id: str) -> ListedMarket:
    market = venue.exchange.markets.get(condition_id)
    if market is None:
        raise Unusable("market must be a condition id that the venue lists")
    return market


def _address(text: str) -> str:
    try:
        return checksum_address(text)
    except Malformed as fault:
        raise Unusable("an address is 0x and 40 hexadecimal digits") from fault


def _account(venue: Venue, text: str) -> Account:
    return venue.trading.account(_address(text))


def _amount(text: str) -> int:
    try:
        amount = parse_e6(text)
    except WireFault as fault:
        raise Unusable(str(fault)) from fault
    if abs(amount) > _MOST_E6:
        raise Unusable(f"at most {format_e6(_MOST_E6)}")
    return amount


_EXAMPLE = "0x<address>"
_MARKET = "0x<condition id>"

ROUTES = (
    route(
        "POST",
        "/accounts/fund",
        Fund(address=_EXAMPLE, pusd="100"),
        "pUSD comes into the wallet; a negative amount goes out, and orders it no longer covers are cancelled "
        "as CANCELED_NOT_ENOUGH_BALANCE, newest first",
        fund,
    ),
    route(
        "POST",
        "/accounts/split",
        Tokens(address=_EXAMPLE, market=_MARKET, shares="50"),
        "pUSD of the wallet becomes shares of both outcomes; a negative number turns pairs back",
        split,
    ),
    route(
        "POST",
        "/accounts/take-tokens",
        TakeTokens(address=_EXAMPLE, token="<token id>", shares="10"),
        "shares leave the wallet; orders it no longer covers are cancelled",
        take_tokens,
    ),
    route(
        "POST",
        "/accounts/allowance",
        Allowance(address=_EXAMPLE, pusd="25", tokens=False),
        "what the exchange may take from the wallet; null is any amount of pUSD, tokens false no shares",
        allowance,
    ),
    route(
        "POST",
        "/accounts/standing",
        Standing(address=_EXAMPLE, closed_only=True),
        "the address, a signer's or a wallet's, is banned, may only sell, or neither",
        standing,
    ),
    route("GET", "/session-signers", Nothing(), "session signers of all wallets", signers),
    route(
        "POST",
        "/session-signers/authorize",
        Grant(owner="0x<owner>", address="0x<session signer>"),
        "the address may create its own API key and trade for the owner's deposit wallet; at most 15 of a wallet",
        authorize,
    ),
    route(
        "POST",
        "/session-signers/revoke",
        Revocation(address="0x<session signer>"),
        "its API key ends now, its orders are cancelled some seconds later",
        revoke,
    ),
    route(
        "POST",
        "/markets/delay",
        Delay(market=_MARKET, taker_delay_ms=50),
        "marketable orders are held so long and checked again: the call waits (taker_delay_ms) or is answered "
        "`delayed` (seconds_delay)",
        delay,
    ),
)
