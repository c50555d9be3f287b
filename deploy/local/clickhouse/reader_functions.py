"""The functions that a reader's statement may call: those of named groups, except any that access more than their
arguments. A function that a later engine adds to another group is refused until it has been reviewed."""

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
# From other groups, and what the parser inserts itself: operators, CASE, casts.
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
        # What drivers query first to identify the server.
        *("displayName", "revision", "timezone", "serverTimezone"),
    }
)
# Exceptions in the groups: formatRow reads files named in settings; flameGraph and aggThrow debug the engine.
EXCLUDED = frozenset({"formatrow", "formatrownonewline", "flamegraph", "aggthrow", "chdb"})
TABLE_FUNCTIONS = frozenset(
    {*("generateseries", "generate_series", "numbers", "numbers_mt", "primes", "view", "zeros", "zeros_mt")}
)
FUNCTIONS_QUERY = "SELECT name, alias_to, categories, origin FROM system.functions"
COMBINATORS_QUERY = "SELECT name FROM system.aggregate_function_combinators"


class ReaderFunctions:
    """Names are compared case-insensitively, as the engine does for most of them."""

    def __init__(self, functions: Iterable[str], combinators: Iterable[str]) -> None:
        """`functions` and `combinators` are the result lines of the two queries above."""
        rows = [line.split("\t") for line in functions]
        intended = {name.lower() for name, _, group, origin in rows if origin == "System" and group in GROUPS}
        intended = (intended | {name.lower() for name in OTHERS}) - EXCLUDED
        aliases = {name.lower() for name, original, *_ in rows if original and original.lower() in intended}
        # Where two names differ only in case, the refused one takes precedence.
        self._refused = {name.lower() for name, *_ in rows} - intended - aliases
        self._allowed = (intended | aliases) - self._refused
        self._combinators = tuple(sorted((name.lower() for name in combinators), key=len, reverse=True))

    def allows(self, name: str) -> bool:
        """Accepts an aggregate function with combinators, too: `sumIf`, `uniqExactOrNullIf`."""
        name = name.lower()
        while name not in self._allowed:
            ending = next((one for one in self._combinators if name.endswith(one) and name != one), None)
            if ending is None:
                return False
            name = name.removesuffix(ending)
        return True

    def is_refused_name(self, word: str) -> bool:
        """A bare word may name a function: arrayMap(file, ...)."""
        return word.lower() in self._refused
