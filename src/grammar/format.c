#include "grammar/format.h"

#include "grammar/regex.h"

#include <stdio.h>
#include <string.h>

#define YEAR "(?!0000)\\d{4}"
#define LEAP_YEAR "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                                                                           \
    "(?:" YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|"                  \
    "02-(?:0[1-9]|1\\d|2[0-8]))|" LEAP_YEAR "-02-29)"
#define TIME "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|[-+](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
#define HOSTNAME LABEL "(?:\\." LABEL ")*"
#define ATOM "[-A-Za-z0-9!#$%&'*+/=?^_`{|}~]+"
#define OCTET "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4 OCTET "(?:\\." OCTET "){3}"
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                                           \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32 "|(?:(?:" H16 ":)?" H16  \
    ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16      \
    ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16   \
    ":){0,6}" H16 ")?::)"
#define ENCODED "%[0-9A-Fa-f]{2}"
#define PCHAR "(?:[-A-Za-z0-9._~!$&'()*+,;=:@]|" ENCODED ")"
#define SEGMENTS "(?:/" PCHAR "*)*"
#define AUTHORITY                                                                                                      \
    "(?:(?:[-A-Za-z0-9._~!$&'()*+,;=:]|" ENCODED ")*@)?(?:\\[" IPV6 "\\]|(?:[-A-Za-z0-9._~!$&'()*+,;=]|" ENCODED       \
    ")*)(?::\\d*)?"
#define URI                                                                                                            \
    "[A-Za-z][-A-Za-z0-9+.]*:(?://" AUTHORITY SEGMENTS "|/(?:" PCHAR "+" SEGMENTS ")?|" PCHAR "+" SEGMENTS             \
    "|)(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?"

#define RELATIVE_PART                                                                                                  \
    "(?://" AUTHORITY SEGMENTS "|/(?:" PCHAR "+" SEGMENTS ")?|(?:[-A-Za-z0-9._~!$&'()*+,;=@]|" ENCODED ")+" SEGMENTS   \
    "|)"
#define TAIL "(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?"
/* Expressions with up to two groups in each other. */
#define RE_RANGE "a-[b-z]|A-[B-Z]|0-[1-9]|[a-y]-z|[A-Y]-Z|[0-8]-9"
#define RE_CLASS "\\[\\^?(?:" RE_RANGE "|[^\\]\\\\-]|\\\\[^a-zA-Z]|\\\\[dDwWsStnrfv])*-?\\]"
#define RE_SIMPLE "(?:[^\\\\\\[\\](){}*+?|]|\\\\[^a-zA-Z0-9]|\\\\[dDwWsStnrfvbB]|" RE_CLASS ")"
#define RE_TIMES "(?:(?:[*+?]|\\{[0-9]{1,3}(?:,[0-9]{0,3})?\\})[?]?)?"
#define RE_0 "(?:" RE_SIMPLE RE_TIMES ")*(?:\\|(?:" RE_SIMPLE RE_TIMES ")*)*"
#define RE_GROUP(inside) "\\((?:\\?[:=!])?" inside "\\)"
#define RE_NEXT(inside)                                                                                                \
    "(?:(?:" RE_SIMPLE "|" RE_GROUP(inside) ")" RE_TIMES ")*(?:\\|(?:(?:" RE_SIMPLE "|" RE_GROUP(inside) ")" RE_TIMES  \
                                                                                                         ")*)*"
#define RE_1 RE_NEXT(RE_0)
#define RE_2 RE_NEXT(RE_1)

static const struct format {
    const char *name, *pattern;
} formats[] = {
    {"date-time", DATE "T" TIME},
    {"date", DATE},
    {"time", TIME},
    {"email", "(?=.{1,64}@)" ATOM "(?:\\." ATOM ")*@(?:" HOSTNAME "|\\[" IPV4 "\\])"},
    {"uuid", "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"},
    {"uri", URI},
    {"uri-reference", URI "|" RELATIVE_PART TAIL},
    {"regex", RE_2},
    {"json-pointer", "(?:/(?:[^~/]|~[01])*)*"},
    {"duration", "P(?:\\d+W|(?=[\\dT])(?:\\d+Y)?(?:\\d+M)?(?:\\d+D)?(?:T(?=\\d)(?:\\d+H)?(?:\\d+M)?(?:\\d+S)?)?)"},
    {"ipv4", IPV4},
    {"ipv6", IPV6},
    {"hostname", "(?=.{1,253}$)(?!(?:.*\\.)?..--)" HOSTNAME},
};

int format_compile(struct terms *terms, struct smollm_text name, term *result, struct smollm_error *error)
{
    *result = TERM_ALL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (text_is(name, formats[i].name))
            return regex_compile(terms, text_of(formats[i].pattern), true, result, error);
    return 0;
}

bool format_of_numbers(struct smollm_text name, struct smollm_text *min, struct smollm_text *max)
{
    if (text_is(name, "int32")) {
        *min = text_of("-2147483648");
        *max = text_of("2147483647");
        return true;
    }
    if (text_is(name, "int64")) {
        *min = text_of("-9223372036854775808");
        *max = text_of("9223372036854775807");
        return true;
    }
    return false;
}
