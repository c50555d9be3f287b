"""Which functions a reader's statement may call: those of named groups, of which what touches anything but its
arguments is taken out. A function that a later engine adds elsewhere is refused until somebody has looked at it."""

from collections.abc import Iterable

# Groups of system.functions that compute from their arguments alone.
GROUPS = frozenset(
    {
        *("Aggregate Functions", "Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional"),
        *("Dates and Times", "Distance", "Encoding", "Financial", "Geo", "Geo Polygon", "Hash", "IP Address", "JSON"),
        *("Logical", "Map", "Mathematical", "Null", "Random Number", "Rounding", "String", "String Replacement"),
        *("String Search", "String Splitting", "Time Window", "Tuple", "Type Conversion", "URL", "UUID"),
    }
)
# Of other groups, and what the parser writes by itself: operators, CASE, casts.
OTHERS = frozenset(
    {
        *("_CAST", "bar", "blockNumber", "byteSize", "caseWithExpression", "countDigits", "currentDatabase"),
        *(
            "currentRoles",
            "currentSchemas",
            "currentUser",
            "currentQueryID",
            "defaultValueOfTypeName",
            "digits",
            "exists",
        ),
        *("finalizeAggregation", "formatReadableDecimalSize", "formatReadableQuantity", "formatReadableSize"),
        *("formatReadableTimeDelta", "getSetting", "grouping", "identity", "ignore", "indexHint"),
        *("initializeAggregation", "isConstant", "lambda", "materialize", "neighbor", "normalizeQuery"),
        *("parseReadableSize", "rowNumberInAllBlocks", "rowNumberInBlock", "runningAccumulate", "runningDifference"),
        *("throwIf", "toTypeName", "transform", "tupleElement", "variantElement", "variantType", "version"),
        *("visibleWidth", "getSubcolumn", "minSampleSizeContinuous", "minSampleSizeConversion", "queryID"),
        # What drivers ask first: who they speak to.
        *("displayName", "revision", "timezone", "serverTimezone"),
    }
)
# Of the groups: formats of output read files of settings; flameGraph and aggThrow are made to debug an engine.
EXCEPT = frozenset({"formatrow", "formatrownonewline", "flamegraph", "aggthrow", "chdb"})
TABLE_FUNCTIONS = frozenset(
    {*("generateseries", "generate_series", "numbers", "numbers_mt", "primes", "view", "zeros", "zeros_mt")}
)
QUESTION = "SELECT name, alias_to, categories, origin FROM system.functions"
COMBINATORS_QUESTION = "SELECT name FROM system.aggregate_function_combinators"


class ReaderFunctions:
    """Names are compared without case, as the engine finds most of them."""

    def __init__(self, functions: Iterable[str], combinators: Iterable[str]) -> None:
        """`functions` and `combinators` are the lines that the engine answers to the two questions above."""
        found = [line.split("\t") for line in functions]
        meant = {name.lower() for name, _, group, origin in found if origin == "System" and group in GROUPS}
        meant = (meant | {name.lower() for name in OTHERS}) - EXCEPT
        aliases = {name.lower() for name, original, *_ in found if original and original.lower() in meant}
        # Of two names that differ in case only, the refused one decides.
        self._refused = {name.lower() for name, *_ in found} - meant - aliases
        self._allowed = (meant | aliases) - self._refused
        self._combinators = tuple(sorted((name.lower() for name in combinators), key=len, reverse=True))

    def allows(self, name: str) -> bool:
        """Also an aggregate function with combinators: `sumIf`, `uniqExactOrNullIf`."""
        name = name.lower()
        while name not in self._allowed:
            ending = next((one for one in self._combinators if name.endswith(one) and name != one), None)
            if ending is None:
                return False
            name = name.removesuffix(ending)
        return True

    def names_a_refused_one(self, word: str) -> bool:
        """A function may stand as a bare word, too: arrayMap(file, ...)."""
        return word.lower() in self._refused
