"""The house rules that no tool knows, and proof that those the tools hold are held: each catches an offence planted for it."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("adapters", "engine", "ops", "projections", "schemas")


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every file of the product, parsed."""
    for path in sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")):
        yield str(path.relative_to(REPOSITORY)), ast.parse(path.read_text())


# ---------------------------------------------------------------- what SQL may not say

SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CALL|CREATE|ALTER|COPY)\b", re.IGNORECASE)
# Times and ids are passed in, so that a test can bring its own; positions are counted in the table, so that none is ever missing.
OWN_WILL = re.compile(
    r"\b(now\s*\(|(transaction|statement|clock)_timestamp\b|timeofday\b|current_(date|time|timestamp)\b|localtime(stamp)?\b"
    r"|gen_random_uuid\b|uuidv[47]\b|uuid_generate_|random\s*\(|nextval\b|(small|big)?serial\b|create\s+sequence|as\s+identity)",
    re.IGNORECASE,
)
COMMENT = re.compile(r"--[^\n]*")


def own_will(sql: str) -> list[str]:
    """Where a statement would find out time, chance or a number by itself."""
    return [match.group(0) for match in OWN_WILL.finditer(COMMENT.sub("", sql))]


def unordered(sql: str) -> bool:
    """Whether the outermost statement is a SELECT without ORDER BY. Only for what may return several rows."""
    outside = COMMENT.sub("", sql)
    while (shorter := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = shorter
    return bool(re.search(r"\bSELECT\b", outside, re.IGNORECASE)) and not re.search(r"\bORDER\s+BY\b", outside, re.IGNORECASE)


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value))


def read_as_many(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each statement whose rows are read as a list: `fetch`, `fetchmany` or `cursor`, given a string or a constant."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"fetch", "fetchmany", "cursor"}:
            match node.args:
                case [ast.Constant(value=str(sql)), *_]:
                    yield node.lineno, sql
                case [ast.Name(id=name), *_] if name in constants:
                    yield node.lineno, constants[name]


def test_sql_in_the_code_has_no_will_of_its_own() -> None:
    found = {name: [(node.lineno, will) for node in strings(tree) if (will := own_will(str(node.value)))] for name, tree in sources()}
    assert {name: offences for name, offences in found.items() if offences} == {}


def test_sql_that_reads_rows_puts_them_in_order() -> None:
    found = {name: [line for line, sql in read_as_many(tree) if unordered(sql)] for name, tree in sources()}
    assert {name: offences for name, offences in found.items() if offences} == {}


def test_a_migration_has_no_will_of_its_own() -> None:
    found = {path.name: own_will(path.read_text()) for path in sorted((REPOSITORY / "engine" / "migrations").glob("*.sql"))}
    assert {name: offences for name, offences in found.items() if offences} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT now()",
        "INSERT INTO events (recorded_at) VALUES (current_timestamp)",
        "SELECT gen_random_uuid()",
        "CREATE TABLE t (position bigserial)",
        "CREATE TABLE t (position bigint GENERATED ALWAYS AS IDENTITY)",
        "SELECT nextval('positions')",
    ],
)
def test_a_will_of_its_own_is_found(sql: str) -> None:
    assert own_will(sql)


def test_a_word_that_only_looks_like_one_is_not() -> None:
    assert own_will("SELECT known(), renow FROM now_and_then -- as now() would\nWHERE run_at < $1 AND identity = $2") == []


def test_an_unordered_read_is_found() -> None:
    tree = ast.parse(
        'READ = "SELECT a FROM t WHERE tenant = $1"\nrows = await conn.fetch(READ, tenant)\nrow = await conn.fetchrow(READ, tenant)'
    )
    assert [line for line, sql in read_as_many(tree) if unordered(sql)] == [2]
    assert unordered("SELECT a FROM (SELECT a FROM t ORDER BY a) AS sorted")
    assert not unordered("WITH due AS (SELECT a FROM t) SELECT a FROM due ORDER BY a")
    assert not unordered("UPDATE t SET a = $1 WHERE k IN (SELECT k FROM t) RETURNING a")


# ---------------------------------------------------------------- sets have no order

ORDERLESS = {"all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum"}  # callers for whom order makes no difference
LISTING = {"enumerate", "iter", "list", "map", "next", "tuple", "zip"}


def is_set(node: ast.expr, known: set[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in known
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return is_set(left, known) or is_set(right, known)
    return False


def names_of_sets(tree: ast.Module) -> set[str]:
    """Names and fields that this file says are sets; a name that is something else elsewhere in the file is left out."""
    sets: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), annotation=annotation)
                | ast.arg(arg=name, annotation=ast.expr() as annotation)
            ):
                (sets if re.match(r"(frozen)?set\b", ast.unparse(annotation)) else others).add(name)
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                (sets if is_set(value, set()) else others).add(name)
    return sets - others


def set_iterations(tree: ast.Module) -> list[int]:
    """Lines that put a set's members in a row without sorting them: what follows would differ from one run to the next."""
    known = names_of_sets(tree)
    harmless = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDERLESS
        for argument in node.args
    }
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.For(iter=source) | ast.Starred(value=source) if is_set(source, known):
                found.append(node.lineno)
            case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators) | ast.DictComp(generators=generators):
                if id(node) not in harmless and any(is_set(generator.iter, known) for generator in generators):
                    found.append(node.lineno)
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in LISTING and any(is_set(each, known) for each in arguments):
                found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="join" | "extend"), args=[source]) if is_set(source, known):
                found.append(node.lineno)
    return found


def test_no_set_is_put_in_a_row_unsorted() -> None:
    found = {name: set_iterations(tree) for name, tree in sources()}
    assert {name: offences for name, offences in found.items() if offences} == {}


@pytest.mark.parametrize(
    "code",
    [
        "for sku in {line.sku for line in lines}: put(sku)",
        "skus: set[str] = set()\nfor sku in skus: put(sku)",
        "def f(channels: frozenset[str]): return [publish(c) for c in channels]",
        "class Stock:\n    channels: frozenset[str]\ndef f(stock): return tuple(stock.channels)",
        "was = set(a)\nchanged = list(was - b)",
        "names = {'a', 'b'}\ntext = ', '.join(names)",
    ],
)
def test_a_set_in_a_row_is_found(code: str) -> None:
    assert set_iterations(ast.parse(code))


def test_a_sorted_or_counted_set_is_not() -> None:
    code = """
skus: set[str] = set()
for sku in sorted(skus): put(sku)
lost = any(sku not in known for sku in skus)
upper = {sku.upper() for sku in skus}
"""
    assert set_iterations(ast.parse(code)) == []


# ---------------------------------------------------------------- what ruff holds


def banned(code: str, where: str) -> bool:
    command: list[str | Path] = [
        Path(sys.executable).parent / "ruff",
        "check",
        "--no-cache",
        "--select",
        "TID251",
        "--stdin-filename",
        where,
        "-",
    ]
    return subprocess.run(command, input=code, text=True, capture_output=True, cwd=REPOSITORY, check=False).returncode == 1


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "from time import monotonic",
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import uuid\nuuid.uuid4()",
        "from uuid import uuid1",
        "import random",
        "import secrets",
        "import os\nos.urandom(16)",
        "import asyncio\nasyncio.sleep(1)",
        "import anyio\nanyio.sleep(1)",
        "from anyio import to_thread",
        "import asyncio\nasyncio.to_thread(f)",
        "import threading",
        "from concurrent.futures import ThreadPoolExecutor",
        "import asyncpg\nasyncpg.connect(url)",
        "import aiohttp\naiohttp.TCPConnector()",
        "from cryptography.hazmat.primitives.ciphers.aead import AESSIV\nAESSIV.generate_key(512)",
    ],
)
def test_the_world_is_reached_through_the_ports_alone(code: str) -> None:
    assert banned(code, "engine/log.py")
    assert banned(code, "ops/sandbox/shopify.py")
    assert not banned(code, "engine/ports.py")


# ---------------------------------------------------------------- what import-linter holds


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("schemas/planted.py", "import engine"),
        ("engine/planted.py", "import projections"),
        ("engine/planted.py", "import adapters.mirakl"),
        ("engine/planted.py", "import aiohttp"),
        ("projections/planted.py", "import engine.log"),
        ("projections/planted.py", "import adapters"),
        ("projections/planted.py", "import asyncio"),
        ("adapters/mirakl/planted.py", "import adapters.shopify"),
        ("adapters/mirakl/planted.py", "import projections"),
        ("adapters/mirakl/planted.py", "import asyncpg"),
        ("adapters/http.py", "import ops"),
    ],
)
def test_doors_open_one_way(tmp_path: Path, module: str, code: str) -> None:
    house = tmp_path / "house"
    for room in (*ROOMS, "adapters/shopify", "adapters/mirakl"):
        (house / room).mkdir(parents=True)
        (house / room / "__init__.py").touch()
    for furniture in ("engine/log.py", "engine/ports.py", "engine/projection.py"):
        (house / furniture).touch()
    (house / "projections" / "orders.py").write_text("import engine.projection\nimport schemas\n")
    shutil.copy(REPOSITORY / "pyproject.toml", house)
    assert keeps_the_contracts(house)
    (house / module).write_text(code)
    assert not keeps_the_contracts(house)


def keeps_the_contracts(house: Path) -> bool:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=house, capture_output=True, text=True, check=False
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return done.returncode == 0
