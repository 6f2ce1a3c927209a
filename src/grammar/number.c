#include "grammar/number.h"

#include "base/error.h"
#include "grammar/regex.h"

enum { EXPONENT_MAX = 307, FACTOR_MAX = 1000000, PLACES_MAX = 18, DIGITS_MAX = 1000 };

static int compile(struct terms *terms, const char *pattern, term *result, struct smollm_error *error)
{
    return regex_compile(terms, text_of(pattern), true, result, error);
}

int numbers_begin(struct numbers *n, struct terms *terms, struct smollm_error *error)
{
    *n = (struct numbers){.terms = terms};
    term scientific;
    int status = compile(terms, "-?(0|[1-9]\\d*)(\\.\\d+)?([eE][-+]?\\d+)?", &n->any, error);
    if (status == 0)
        status = compile(terms, "\\d", &n->digit, error);
    if (status == 0)
        status = compile(terms, "\\d*", &n->digits, error);
    if (status == 0)
        status = compile(terms, "(\\.\\d+)?", &n->fraction, error);
    if (status == 0)
        status = compile(terms, "(0|[1-9]\\d*)(\\.\\d+)?", &n->unsigned_decimal, error);
    if (status == 0)
        status = compile(terms, "0(\\.0+)?", &n->zero, error);
    if (status == 0)
        status = compile(terms, "-", &n->minus, error);
    if (status == 0)
        status = compile(terms, "[1-9](\\.\\d+)?", &n->mantissa, error);
    if (status == 0)
        status = compile(terms, "0{0,2}\\d|0?[1-9]\\d|[12]\\d\\d|30[0-7]", &n->natural, error);
    if (status == 0)
        status = compile(terms, "[eE][-+]?", &n->exponent, error);
    if (status < 0)
        return status;
    n->exponent = term_cat(terms, n->exponent, n->natural);
    scientific = term_cat(terms, n->mantissa, n->exponent);
    n->unsigned_written = term_or(terms, n->unsigned_decimal, scientific);
    n->written = term_or(terms, n->unsigned_written,
                         term_cat(terms, n->minus, term_and(terms, n->unsigned_written, term_not(terms, n->zero))));
    status = compile(terms, "0|-?[1-9]\\d*", &n->integer, error);
    if (status == 0)
        status = compile(
            terms, "-?(0|[1-9]\\d*)\\.\\d*[1-9]\\d*|-?[1-9](\\.\\d+)?[eE]-(0{0,2}[1-9]|0?[1-9]\\d|[12]\\d\\d|30[0-7])",
            &n->broken, error);
    return status;
}

/* ---- Comparing ---- */

static term digits_from(struct numbers *n, char from)
{
    return from > '9' ? TERM_NONE : term_range(n->terms, (unsigned char)from, '9');
}

/* Fractions, the point included, that are at least (strict: greater than) 0.DIGITS; the digits end with none of 0. */
static term fraction_from(struct numbers *n, const char *digits, size_t count, bool strict)
{
    struct terms *t = n->terms;
    term tail;
    if (strict) /* at least one more digit that is not 0 */
        tail = term_cat(t, term_repeat(t, term_char(t, '0'), 0, TERM_UNLIMITED),
                        term_cat(t, digits_from(n, '1'), n->digits));
    else
        tail = n->digits;
    for (size_t i = count; i-- > 0;)
        tail = term_or(t, term_cat(t, digits_from(n, (char)(digits[i] + 1)), n->digits),
                       term_cat(t, term_char(t, (unsigned char)digits[i]), tail));
    if (count == 0 && !strict)
        return n->fraction;
    return term_cat(t, term_char(t, '.'), tail);
}

/* Digits of the same number that are at least (strict: greater than) these, followed by `equal` where they are equal
 * and by `greater` where they are greater. */
static term same_length_from(struct numbers *n, const char *digits, size_t count, term equal, term greater)
{
    struct terms *t = n->terms;
    term tail = equal;
    for (size_t i = count; i-- > 0;) {
        const uint32_t rest = (uint32_t)(count - i - 1);
        tail = term_or(t,
                       term_cat(t, digits_from(n, (char)(digits[i] + 1)),
                                term_cat(t, term_repeat(t, n->digit, rest, rest), greater)),
                       term_cat(t, term_char(t, (unsigned char)digits[i]), tail));
    }
    return tail;
}

/* Exponents greater than `than`, with their e. */
static term exponent_above(struct numbers *n, int64_t than)
{
    struct terms *t = n->terms;
    const term e = term_or(t, term_char(t, 'e'), term_char(t, 'E'));
    const term plus = term_cat(t, e, term_repeat(t, term_char(t, '+'), 0, 1)), minus = term_cat(t, e, n->minus);
    if (than >= EXPONENT_MAX)
        return TERM_NONE;
    if (than < -EXPONENT_MAX)
        return n->exponent;
    char digits[8];
    const int64_t from = than >= 0 ? than + 1 : -than;
    const int count = from >= 100 ? 3 : from >= 10 ? 2 : 1;
    for (int i = count; i-- > 0;)
        digits[i] = (char)('0' + (count - i == 1 ? from % 10 : count - i == 2 ? from / 10 % 10 : from / 100));
    /* Naturals of at least `from`, with zeros before them. */
    const term nines = digits_from(n, '1');
    term longer = TERM_NONE;
    for (uint32_t size = (uint32_t)count + 1; size <= 3; size++)
        longer = term_or(t, longer, term_cat(t, nines, term_repeat(t, n->digit, size - 1, size - 1)));
    term at_least = term_or(t, longer, same_length_from(n, digits, (size_t)count, TERM_EMPTY, TERM_EMPTY));
    at_least = term_and(t, n->natural, term_cat(t, term_repeat(t, term_char(t, '0'), 0, 2), at_least));
    if (than >= 0)
        return term_cat(t, plus, at_least);
    return term_or(t, term_cat(t, plus, n->natural),
                   term_cat(t, minus, term_and(t, n->natural, term_not(t, at_least))));
}

/* Unsigned numbers of at least (strict: more than) a positive bound. */
static term unsigned_from(struct numbers *n, const struct json_decimal *b, bool strict)
{
    struct terms *t = n->terms;
    const size_t count = b->digits.size < DIGITS_MAX ? b->digits.size : DIGITS_MAX;
    const int64_t place = b->exponent + (int64_t)b->digits.size; /* digits before the point */
    /* Scientific: by exponent, then by mantissa. */
    const char *d = b->digits.data;
    const term mantissa =
        term_or(t, term_cat(t, digits_from(n, (char)(d[0] + 1)), n->fraction),
                term_cat(t, term_char(t, (unsigned char)d[0]), fraction_from(n, d + 1, count - 1, strict)));
    const term above = exponent_above(n, place - 1);
    const term same = term_and(t, exponent_above(n, place - 2), term_not(t, above));
    term all = term_or(t, term_cat(t, n->mantissa, above), term_cat(t, mantissa, same));
    /* Decimal. */
    if (place > DIGITS_MAX)
        return all;
    if (place <= 0) {
        char zeros[DIGITS_MAX];
        size_t size = 0;
        const int64_t before = -place < DIGITS_MAX / 2 ? -place : DIGITS_MAX / 2;
        while (size < (size_t)before)
            zeros[size++] = '0';
        for (size_t i = 0; i < count && size < DIGITS_MAX; i++)
            zeros[size++] = d[i];
        all = term_or(t, all, term_cat(t, digits_from(n, '1'), term_cat(t, n->digits, n->fraction)));
        return term_or(t, all, term_cat(t, term_char(t, '0'), fraction_from(n, zeros, size, strict)));
    }
    char whole[DIGITS_MAX];
    const size_t size = (size_t)place;
    for (size_t i = 0; i < size; i++)
        whole[i] = i < count ? d[i] : '0';
    const term fraction =
        count > size ? fraction_from(n, d + size, count - size, strict) : fraction_from(n, "", 0, strict);
    all = term_or(t, all, same_length_from(n, whole, size, fraction, n->fraction));
    return term_or(t, all,
                   term_cat(t, digits_from(n, '1'),
                            term_cat(t, term_repeat(t, n->digit, (uint32_t)size, TERM_UNLIMITED), n->fraction)));
}

term number_from(struct numbers *n, const struct json_decimal *bound, bool strict)
{
    struct terms *t = n->terms;
    if (bound->digits.size == 0)
        return strict ? term_and(t, n->unsigned_written, term_not(t, n->zero)) : n->unsigned_written;
    if (!bound->negative)
        return unsigned_from(n, bound, strict);
    const term not_greater = term_and(t, n->unsigned_written, term_not(t, unsigned_from(n, bound, !strict)));
    return term_or(t, n->unsigned_written, term_cat(t, n->minus, term_and(t, not_greater, term_not(t, n->zero))));
}

term number_equal(struct numbers *n, const struct json_decimal *value)
{
    struct terms *t = n->terms;
    if (value->digits.size == 0)
        return n->zero;
    struct json_decimal positive = *value;
    positive.negative = false;
    const term equal = term_and(t, unsigned_from(n, &positive, false), term_not(t, unsigned_from(n, &positive, true)));
    return value->negative ? term_cat(t, n->minus, equal) : equal;
}

/* ---- Multiples ---- */

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b > 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int number_multiple(struct numbers *n, const struct json_decimal *of, term *result, struct smollm_error *error)
{
    struct terms *t = n->terms;
    uint64_t factor = 0;
    for (size_t i = 0; i < of->digits.size && factor <= FACTOR_MAX; i++)
        factor = factor * 10 + (uint64_t)(of->digits.data[i] - '0');
    for (int64_t i = 0; i < of->exponent && factor <= FACTOR_MAX; i++)
        factor *= 10;
    RETURN_ERROR_IF(factor > FACTOR_MAX || of->exponent < -PLACES_MAX, error, SMOLLM_EUNSUPPORTED,
                    "multiples of a number with so many digits are not supported (at most %d, or %d decimal places)",
                    FACTOR_MAX, PLACES_MAX);
    const uint32_t places = of->exponent < 0 ? (uint32_t)-of->exponent : 0;
    const term whole = term_or(t, term_char(t, '0'), term_cat(t, digits_from(n, '1'), n->digits));
    const term zeros = term_repeat(t, term_char(t, '0'), 0, TERM_UNLIMITED);
    /* With k digits after the point, all digits together times 10^(places - k) are a multiple of the factor. */
    term all = TERM_NONE;
    for (uint32_t k = 0; k <= places; k++) {
        uint32_t needed = (uint32_t)factor;
        for (uint32_t i = k; i < places; i++)
            needed /= gcd(needed, 10);
        term form = whole;
        if (k > 0)
            form = term_cat(t, whole, term_cat(t, term_char(t, '.'), term_repeat(t, n->digit, k, k)));
        if (needed > 1)
            form = term_and(t, form, term_multiple(t, needed));
        if (k == places)
            form = term_cat(t, form,
                            k > 0 ? zeros
                                  : term_repeat(t,
                                                term_cat(t, term_char(t, '.'),
                                                         term_repeat(t, term_char(t, '0'), 1, TERM_UNLIMITED)),
                                                0, 1));
        all = term_or(t, all, form);
    }
    *result = term_or(t, all, term_cat(t, n->minus, term_and(t, all, term_not(t, n->zero))));
    return 0;
}
