#!/usr/bin/python3
"""Prints numbers.txt: what arithmetic gives, as Python's integers and fractions compute it, which are exact.

A line is: operation, operands, result ("!": there is none; of more than 100 characters only the ends are there, and
their number). A result that is no integer is rounded to 64 significant
bits, to nearest, ties to even, and written with as few digits as tell it from its neighbours.
"""
import random
from fractions import Fraction

DIGITS_MAX = 4096
REAL_MIN = Fraction(1, 2**13606)


def exponent_of(magnitude, base):
    """The largest e with base**e <= magnitude."""
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if base == 10:
        guess = guess * 30103 // 100000
    while Fraction(base) ** guess > magnitude:
        guess -= 1
    while Fraction(base) ** (guess + 1) <= magnitude:
        guess += 1
    return guess


def rounded(value, bits=64):
    if value == 0:
        return value
    ulp = Fraction(2) ** (exponent_of(abs(value), 2) - bits + 1)
    return round(value / ulp) * ulp  # round() of a fraction: ties to even


def shortest(magnitude):
    """Digits and the exponent of the first."""
    for count in range(1, 22):
        ulp = Fraction(10) ** (exponent_of(magnitude, 10) - count + 1)
        digits = round(magnitude / ulp)
        if rounded(digits * ulp) == magnitude:
            exponent = exponent_of(digits * ulp, 10)
            return str(digits).rstrip("0"), exponent
    raise ValueError(magnitude)


def text_of(value):
    if value is None:
        return "!"
    if value.denominator == 1:
        return str(value.numerator)
    digits, exponent = shortest(abs(value))
    sign = "-" if value < 0 else ""
    if exponent < -6:
        return f"{sign}{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return f"{sign}{digits[:exponent + 1]}.{digits[exponent + 1:]}"


def number(value):
    """In its one form; None: over a limit."""
    if value.denominator != 1:
        value = rounded(value)
    if value.denominator == 1:
        return value if abs(value) < 10**DIGITS_MAX else None
    return value if abs(value) >= REAL_MIN else None


def arithmetic(function):
    """Exact when both are integers and the result is; rounded otherwise."""
    def apply(a, b):
        result = function(a, b)
        if result is None or a.denominator == b.denominator == result.denominator == 1:
            return result
        return rounded(result)
    return apply


def truncated(value):
    return Fraction(abs(value.numerator) // value.denominator * (-1 if value < 0 else 1))


def whole(function):
    return lambda a, b: function(int(a), int(b)) if a.denominator == b.denominator == 1 else None


def shift(a, b):
    return None if b < 0 or (a and b > 14000) else a << b if a else 0


def half_away(a, _):
    return truncated(a + (Fraction(1, 2) if a > 0 else Fraction(-1, 2)))


OPERATIONS = {
    "add": arithmetic(lambda a, b: a + b),
    "subtract": arithmetic(lambda a, b: a - b),
    "multiply": arithmetic(lambda a, b: a * b),
    "divide": arithmetic(lambda a, b: a / b if b else None),
    "remainder": whole(lambda a, b: a - b * int(truncated(Fraction(a, b))) if b else None),
    "and": whole(lambda a, b: a & b),
    "or": whole(lambda a, b: a | b),
    "xor": whole(lambda a, b: a ^ b),
    "left": whole(shift),
    "right": whole(lambda a, b: None if b < 0 else a >> min(b, 20000)),
    "compare": lambda a, b: (a > b) - (a < b),
    "round": half_away,
    "ceil": lambda a, _: -((-a) // 1),
    "floor": lambda a, _: a // 1,
    "abs": lambda a, _: abs(a),
    "negate": lambda a, _: ~int(a) if a.denominator == 1 else None,
}

EDGES = ["0", "1", "-1", "2", "-3", "7", "10", "64", "0.5", "-0.5", "1.5", "2.5", "0.1", "0.2", "0.3", "-0.7", "3.14",
         "1e-7", "0.000001", "1e-4000", "1e21", "1e300", "123456789.125", "9007199254740993",
         "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
         "9223372036854775807.5", "-9223372036854775807.5", "4611686018427387904.25", "18446744073709551615",
         "18446744073709551616", "340282366920938463463374607431768211455", "-1" + "0" * 40, "9" * 100,
         "1e4095", "-9e2048", "0.33333333333333333333333333333333333333333"]


def random_number(chance):
    sign = chance.choice(["", "-"])
    kind = chance.randrange(4)
    if kind == 0:
        return sign + str(chance.randrange(1, 2 ** chance.randrange(1, 64)))
    if kind == 1:
        return sign + str(chance.randrange(1, 2 ** chance.randrange(1, 300)))
    digits = str(chance.randrange(1, 10 ** chance.randrange(1, 25)))
    if kind == 2:
        return sign + f"{chance.randrange(10 ** chance.randrange(1, 20))}.{digits}"
    return sign + digits + f"e{chance.randrange(-400, 60)}"


def main():
    chance = random.Random(20261126)
    pairs = [(a, b) for a in EDGES for b in EDGES if chance.random() < 0.25]
    pairs += [(random_number(chance), random_number(chance)) for _ in range(700)]
    for a, b in pairs:
        x, y = number(Fraction(a)), number(Fraction(b))
        for name in chance.sample(sorted(OPERATIONS), 5):
            result = OPERATIONS[name](x, y)
            text = text_of(None if result is None else number(Fraction(result)))
            print(name, a, b, text if len(text) <= 100 else f"{text[:40]}...{text[-40:]}:{len(text)}")


main()
