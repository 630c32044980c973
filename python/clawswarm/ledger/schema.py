"""Tables of the ledger and the opening of its database.

The database is a projection: it can be thrown away, the journals make it anew. SQLAlchemy Core, so that another
database can follow; SQLite in WAL mode, every transaction on the disk when it is committed.
"""

import sqlite3
from pathlib import Path

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    literal,
    text,
)
from sqlalchemy.exc import DBAPIError

from clawswarm.model.errors import UserFault
from clawswarm.model.messages import Evidence

SCHEMA_VERSION = 1
BUSY_S = 10.0
CACHE_KIB = 65_536

metadata = MetaData()

markets = Table(
    "markets",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("market", String, nullable=False, unique=True),
)
"""Condition ids by number: a million fills are grouped by a number four times as fast as by its text."""

fills = Table(
    "fills",
    metadata,
    Column("trade_id", String, primary_key=True),
    Column("order_id", String, primary_key=True),
    Column("bucket_index", Integer, primary_key=True),
    Column("evidence", Integer, nullable=False),
    Column("matched_ms", Integer, nullable=False),
    Column("market", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("is_yes", Integer, nullable=False),
    Column("side", Integer, nullable=False),
    Column("price_e4", Integer, nullable=False),
    Column("size_e6", Integer, nullable=False),
    Column("fee_e6", Integer, nullable=False),
    Column("cash_e6", Integer, nullable=False),
    Column("fair_e4", Float),
    Column("is_counted", Integer, nullable=False),
)
"""One row a fill: `evidence` is the rank, `side` +1 or -1 in the YES frame, `is_counted` 0 before the opening."""

Index(
    "fills_by_kind",
    fills.c.market,
    fills.c.evidence,
    fills.c.side,
    fills.c.matched_ms,
    fills.c.price_e4,
    fills.c.size_e6,
    fills.c.cash_e6,
    fills.c.fee_e6,
    fills.c.fair_e4,
)
"""All that a period is summed from: a sixth of the table, and in the order of the sums."""

IS_PENDING = fills.c.evidence < literal(Evidence.CONFIRMED.rank, literal_execute=True)
Index("fills_pending", fills.c.matched_ms, sqlite_where=IS_PENDING)
"""The few fills whose settlement has no end yet; SQLite wants the same words in the question."""

batches = Table(
    "batches",
    metadata,
    Column("batch", String, primary_key=True),
    Column("nonce", Integer, nullable=False),
    Column("transaction_id", String),
    Column("evidence", Integer, nullable=False),
    Column("at_ms", Integer, nullable=False),
)

flows = Table(
    "flows",
    metadata,
    Column("id", String, primary_key=True),
    Column("batch", String, index=True),
    Column("kind", String, nullable=False),
    Column("market", String, nullable=False),
    Column("yes_e6", Integer, nullable=False),
    Column("no_e6", Integer, nullable=False),
    Column("cash_e6", Integer, nullable=False),
    Column("cause", String, nullable=False),
    Column("at_ms", Integer, nullable=False),
)
"""Everything that moves assets and is no fill: merge, redeem, adjustment; amounts are changes."""

balances = Table(
    "balances",
    metadata,
    Column("asset", String, primary_key=True),
    Column("settled_e6", Integer, nullable=False),
    Column("in_e6", Integer, nullable=False),
    Column("out_e6", Integer, nullable=False),
)

opening = Table(
    "opening",
    metadata,
    Column("wallet", String, primary_key=True),
    Column("at_ms", Integer, nullable=False),
    Column("cash_e6", Integer),
)

cursors = Table(
    "cursors",
    metadata,
    Column("journal", String, primary_key=True),
    Column("last_start", Integer, nullable=False),
    Column("last_end", Integer, nullable=False),
)
"""Up to where a journal was taken in: begin and end of the last record that was."""


def open_database(path: Path, *, must_exist: bool = False) -> Engine:
    """The database at `path`, made when it is missing.

    Raises:
        UserFault: it is of another version, damaged, or cannot be written; the sentence says what to do.
    """
    if must_exist and not path.exists():
        raise UserFault(f"there is no ledger at {path}; start a swarm with `claw up`, or name another run")
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _configure)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with engine.begin() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            has_tables = connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one()
            if version == 0 and not has_tables:
                metadata.create_all(connection)
                connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
            elif version != SCHEMA_VERSION:
                raise UserFault(
                    f"{path} is a ledger of version {version} and this program writes version {SCHEMA_VERSION}; "
                    "move it away: the next start makes it anew from the journals"
                )
    except (DBAPIError, OSError) as fault:
        raise unusable(path, fault) from fault
    return engine


def unusable(path: Path, fault: Exception) -> UserFault:
    """What a person can do about a database that cannot be used."""
    reason = fault.orig if isinstance(fault, DBAPIError) else fault
    return UserFault(
        f"the ledger {path} cannot be used ({reason}); free or repair the disk, or move the file away: "
        "the next start makes it anew from the journals"
    )


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"cache_size = -{CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
