"""pyparsing parses nested expressions and says where one is wrong."""

import pyparsing

number = pyparsing.pyparsing_common.integer
grammar = pyparsing.infix_notation(
    number, [(pyparsing.one_of("* /"), 2, pyparsing.OpAssoc.LEFT), ("+", 2, pyparsing.OpAssoc.LEFT)]
)
assert grammar.parse_string("1 + 2 * (3 + 4)", parse_all=True).as_list() == [[1, "+", [2, "*", [3, "+", 4]]]]
try:
    grammar.parse_string("1 + )", parse_all=True)
except pyparsing.ParseException as error:
    assert error.loc == 2, error.loc
else:
    raise AssertionError("a wrong expression was parsed")
