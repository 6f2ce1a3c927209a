#include "engine/embedding.h"

void embedding_add(double *sums, const float *hidden, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        sums[i] += (double)hidden[i];
}

int embedding_finish(double *sums, uint32_t size, uint32_t count, bool is_normalized, float *vector,
                     struct smollm_error *error)
{
    double squares = 0.0;
    for (uint32_t i = 0; i < size; i++) {
        sums[i] /= (double)count;
        squares += sums[i] * sums[i];
    }
    RETURN_ERROR_IF(squares - squares != 0.0, error, SMOLLM_ENUMERIC,
                    "the model produced a hidden state with a value that is not finite");
    const double length = is_normalized && squares > 0.0 ? __builtin_sqrt(squares) : 1.0;
    for (uint32_t i = 0; i < size; i++)
        vector[i] = (float)(sums[i] / length);
    return 0;
}
