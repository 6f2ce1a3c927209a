#include "kernel/arithmetic.h"

/* 2^n for -1022 <= n <= 1023 */
static double power_of_two(int n)
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Nearest integer, ties to even, |x| < 2^51 */
static double round_even(double x)
{
    const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
    return (x + magic) - magic;
}

double double_exp(double x)
{
    if (!(x == x))
        return x;
    if (x < -708.0)
        return 0.0;
    if (x > 709.0)
        return (double)float_from_bits(0x7f800000);
    double n = round_even(x * 1.4426950408889634074);
    double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    /* Taylor series: |r| <= 0.3466, the 14th term is below 2^-56. */
    double sum = 1.0;
    for (int k = 14; k >= 1; k--)
        sum = 1.0 + sum * r / k;
    int scale = (int)n;
    if (scale > 1023)
        return sum * power_of_two(1023) * 2.0;
    return sum * power_of_two(scale);
}

double double_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    /* log m = 2 artanh((m - 1) / (m + 1)); |t| <= 0.1716, t^24 < 2^-60. */
    double t = (m - 1.0) / (m + 1.0), square = t * t, sum = 0.0;
    for (int k = 23; k >= 3; k -= 2)
        sum = square * (1.0 / k + sum);
    double result = 2.0 * t + 2.0 * t * sum;
    return exponent * 6.93147180369123816490e-01 + (result + exponent * 1.90821492927058770002e-10);
}

void double_sincos(double x, double *sine, double *cosine)
{
    /* Cody and Waite: pi/2 in three parts whose products with n are exact or negligible. */
    double n = round_even(x * 0.63661977236758134308);
    double r = x - n * 1.57079632673412561417e+00;
    r -= n * 6.07710050630396597660e-11;
    r -= n * 2.02226624879595063154e-21;
    double square = r * r, s = 0.0, c = 0.0;
    for (int k = 9; k >= 1; k--)
        s = square / (double)(-2 * k * (2 * k + 1)) * (1.0 + s);
    for (int k = 9; k >= 1; k--)
        c = square / (double)(-2 * k * (2 * k - 1)) * (1.0 + c);
    s = r + r * s;
    c = 1.0 + c;
    switch ((int64_t)n & 3) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
        break;
    }
}

double double_power(double b, double e)
{
    return double_exp(e * double_log(b));
}
