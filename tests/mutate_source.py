#!/usr/bin/env python3
"""Break the code on purpose, one change at a time, and see a test fail each time.

usage: mutate_source.py [PART OF A NAME...]

Works on a copy of the tree; needs SMOLLM_TEST_MODEL, SMOLLM_LLAMA3_TOKENIZER and .venv as tests/run.py makes them. Prints a line per change; exits 1
when a change goes unnoticed. Not part of `make test`: it builds for each change.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = "pytest tests/model -q -x -k 'reference or near'"
EMULATED = "build/tests/kernel/test_emulated"
TYPED, SETTINGS = "pytest tests/cli/test_typed_text.py -q -x", "pytest tests/cli/test_settings.py -q -x"
EVERY = "pytest tests/cli/test_every_command.py -q -x"
ACCOUNT = "build/tests/engine/test_account"
STORMS = "pytest tests/server/test_storms.py -q -x"
ENGINE, POOL = "build/tests/engine/test_engine", "build/tests/base/test_thread_pool"
GRAMMAR, TERMS = "build/tests/grammar/test_matcher", "build/tests/grammar/test_terms"
MASKS, FORMS = "pytest tests/grammar -q -x -k 'smollm2 or values'", "pytest tests/server/test_forms.py -q -x"
KERNEL, LIBRARY, SAMPLER = "build/tests/kernel/test_kernel", "build/tests/library/test_library", "build/tests/sampling/test_sampler"

# name, file, what stands there, what to put instead, the test that must fail
CHANGES = [
    ("NoPE shifted by one layer", "src/model/config.c", "(layer + 1) % config->nope_interval", "layer % config->nope_interval", MODEL),
    ("RoPE on halves", "src/kernel/vector.c", "* args->head_dim + 2 * (size_t)i;\n            const float a = pair[0], b = pair[1];", "* args->head_dim + (size_t)i;\n            const float a = pair[0], b = pair[args->pairs];", MODEL),
    ("AVX2 turns the other way", "src/kernel/x86/vector_avx2.c", "_mm256_addsub_ps(_mm256_mul_ps(x, cosine), _mm256_mul_ps(other, sine))", "_mm256_add_ps(_mm256_mul_ps(x, cosine), _mm256_mul_ps(other, sine))", KERNEL),
    ("output not tied", "src/model/weights.c", "w->head = w->embedding;", "w->head = w->embedding, w->head.data += w->head.panel_bytes;",
     "pytest tests/model -q -x -k near"),
    ("reference not tied", "src/model/reference.c", "head ? head : gguf_tensor_find(r->file, \"token_embd.weight\")",
     "head ? head : layer_tensor(r, 0, \"attn_q\")", "pytest tests/model -q -x -k 'reference and (f32 or q8)'"),
    ("YaRN without its magnitude", "src/model/rope.c", "0.1 * double_log(factor) + 1.0", "1.0", "pytest tests/model -q -x -k yarn"),
    ("frequency factors ignored", "src/model/rope.c", "if (factors)\n", "if (factors && 0)\n", "pytest tests/model -q -x -k rope"),
    ("a page too far", "src/model/forward.c", "t->pages[t->position / KV_PAGE_POSITIONS]", "t->pages[0]", MODEL),
    ("query heads of the next KV head", "src/model/forward.c", "first = kv_head * size;",
     "first = (c->kv_heads - 1 - kv_head) * size;", MODEL),
    ("keys stored unturned", "src/model/forward.c", "    rotate(pass, token, key, 1);\n", "", MODEL),
    ("two tokens of one sequence store late", "src/model/forward.c", "if (tokens[i].pages == tokens[k].pages)", "if (i == k)",
     "pytest tests/model -q -x -k same_bits"),
    ("a phase begins early", "src/base/thread_pool.c", "        if (!is_done(w, i, phase - 1))\n            return false;\n", "", POOL),
    ("a lane does not wait for those before it", "src/base/thread_pool.c", ": p->ordered ", ": p->ordered && 0 ", POOL),
    ("a lane waits for all others", "src/base/thread_pool.c", ": WAIT_LANE;", ": WAIT_ALL;", POOL),
    ("a late worker takes units of the next job", "src/base/thread_pool.c", "if (claim >> JOB_SHIFT != w->job)\n                return FOUND_NONE;",
     "if (claim >> JOB_SHIFT != w->job)\n                w->job = claim >> JOB_SHIFT;", POOL),
    ("attention does not wait for keys of other lanes", "src/model/forward.c", ".ordered = true", ".ordered = false", "pytest tests/model -q -x -k same_bits"),
    ("tiles cross lanes", "src/model/attention_plan.c", "(token + size) % lane != 0 &&", "1 &&", "build/tests/model/test_attention_plan"),
    ("units of attention take the next head", "src/model/attention_plan.c", ".kv_head = unit %", ".kv_head = (unit + 1) %", "build/tests/model/test_attention_plan"),
    ("what comes next is attended to", "src/kernel/wide/attention_state_wide.h", "block > work->last_block &&", "block >= work->last_block &&", KERNEL),
    ("a piece ends with its matrix's neighbour", "src/model/product.c", "end - before < panels ? end - before : panels", "end - before", "build/tests/model/test_product"),
    ("a copied end lacks a value", "src/kernel/attention.c", "(size_t)count * head_dim", "(size_t)(count - 1) * head_dim", KERNEL),
    ("layers share their keys", "src/model/kv_cache.h", "(size_t)layer * cache->kv_heads + kv_head", "(size_t)layer * (cache->kv_heads - 1) + kv_head",
     "build/tests/model/test_kv_cache"),
    ("units stay as large as the first", "src/model/product.c", "((end - begin) / SHARE_PARTS + whole)", "(p->matrices[0]->panels / 8 + whole)", "build/tests/model/test_product"),
    ("shares overlap", "src/model/product.c", "end = wholes * (share + 1) / shares * whole", "end = (wholes * (share + 1) / shares + 1) * whole", "build/tests/model/test_product"),
    ("others' shares are taken from in front", "src/base/thread_pool.c", "takes_last = is_share && !is_home(w, choice.lane)", "takes_last = false", POOL),
    ("shares are one for all", "src/base/thread_pool.c", "const bool is_share = p->shares && lane < shares;", "const bool is_share = p->shares && lane < shares && 0;", POOL),
    ("chosen tokens stay where they are", "src/model/forward.c", "from = f->wanted[i];", "from = i;", "pytest tests/model -q -x -k same_bits"),
    ("lanes of a product overlap", "src/kernel/x86/matmul_avx512vnni.c", "first = args->first_token * args->input->planes; first < end", "first = 0; first < end", EMULATED),
    ("packed words do not wrap around", "src/kernel/packed_matrix.c", "rows + l->words_at + wrapped * 4", "rows + l->words_at",
     "build/tests/kernel/test_packed_matrix"),
    ("AVX2 mixes up scales of Q3_K", "src/kernel/x86/panel_avx2.h", "_mm256_slli_epi32(x, 4 - k * 2)", "_mm256_slli_epi32(x, 2 + k * 2)", KERNEL),
    ("AVX2 mixes up high bits of Q6_K", "src/kernel/x86/panel_avx2.h", "36 + first * 2 + g", "36 + first + g", KERNEL),
    ("AVX2 drains too late", "src/kernel/x86/matmul_avx2.c", "s.bits == 6 ? 2", "s.bits == 6 ? 4", KERNEL),
    ("AVX2 forgets the minimum", "src/kernel/x86/matmul_avx2.c", "sum = _mm256_fmadd_ps(_mm256_load_ps(&chunk->minus[0][row])", "sum = _mm256_fnmadd_ps(_mm256_load_ps(&chunk->minus[0][row])", KERNEL),
    ("AVX-512 mixes up scales of Q3_K", "src/kernel/x86/panel_avx512.h", "move_bit(load_word(words, 2), k * 2, 4)", "move_bit(load_word(words, 2), k, 4)", EMULATED),
    ("AVX-512 takes the wrong fifth bits", "src/kernel/x86/panel_avx512.h", "(char)(g / 2)", "(char)(g / 4)", EMULATED),
    ("AVX-512 centres Q5_K and does not say so", "src/kernel/x86/panel_avx512.h", "return s.is_signed ? 0 : bias(s) - s.offset;", "return 0 * s.offset;", EMULATED),
    ("AVX-512 lets signs into the scaled sum", "src/kernel/x86/panel_avx512.h", "widen_byte_low(scales, i, !s.has_min)", "widen_byte(scales, (unsigned)i)", EMULATED),
    ("AVX-512 takes scales of Q6_K for unsigned", "src/kernel/x86/panel_avx512.h", "widen_byte_low(scales, i, !s.has_min)", "widen_byte_low(scales, i, false)", EMULATED),
    ("AVX-512 parts the planes of a token", "src/kernel/x86/matmul_avx512vnni.c", "step += step % planes;", "step += 0 * planes;", EMULATED),
    ("AVX-512 stores results before the last chunk", "src/kernel/x86/matmul_avx512vnni.c", ".is_last_chunk = begin + groups == all", ".is_last_chunk = begin == 0", EMULATED),
    ("AVX-512 takes a group's codes for those of its pair", "src/kernel/x86/tile_avx512.h", "first, i + k * apart, g)", "first, i + k, g)", EMULATED),
    ("AVX-512 keeps every total and reads some from memory", "src/kernel/x86/tile_avx512.h", "__m512i sum = is_kept(s, tokens, t) ?", "__m512i sum = tokens < TILE || is_kept(s, tokens, t) ?", EMULATED),
    ("AVX-512 scales large sums as int16", "src/kernel/x86/panel_avx512.h", "127 * s.sub) < 1 << 15", "127 * s.sub) < 1 << 16", EMULATED),
    ("AVX-512 takes large activations for small ones", "src/kernel/x86/matmul_avx512vnni.c", "small &= !in->large[t];", "small &= !in->large[0];", EMULATED),
    ("AVX2 finds no activations large", "src/kernel/x86/vector_avx2.c", "_mm256_set1_epi32(MAX_SMALL_SUM)", "_mm256_set1_epi32(MAX_SMALL_SUM + 1)", KERNEL),
    ("AVX-512 starts at the sums of the next token", "src/kernel/x86/tile_avx512.h", "t * subs + sub", "(t + 1) * subs + sub", EMULATED),
    ("AVX-512 takes infinite factors for finite ones", "src/kernel/x86/panel_avx512.h", "chunk->is_finite = finite == 0xffff;", "chunk->is_finite = true;", EMULATED),
    ("AVX-512 tiles overlap", "src/kernel/x86/matmul_avx512vnni.c", "        row += step;\n", "        row += step - (step == 5);\n", EMULATED),
    ("AVX-512 forgets the minimum", "src/kernel/x86/matmul_avx512vnni.c", "derived->sums_float[at] = (float)sum;", "derived->sums_float[at] = 0;", EMULATED),
    ("AMX counts tokens of two tiles twice", "src/kernel/x86/matmul_amx.c", "return tile * tiling->size - tile_first(tiling, tile);", "return 0 * tile_first(tiling, tile);", EMULATED),
    ("AMX finishes a tile with the next chunk's factors", "src/kernel/x86/matmul_amx.c", ".factors = &factors[chunk % 2],", ".factors = &factors[(chunk + 1) % 2],", EMULATED),
    ("AMX shifts planes by too little", "src/kernel/x86/matmul_amx.c", "has_byte_products(s) ? 3 : 8", "has_byte_products(s) ? 3 : 7", EMULATED),
    ("AMX takes the low plane for signed", "src/kernel/x86/matmul_amx.c", "_tile_dpbsud(0, 4, 5);\n        _tile_loadd(6,", "_tile_dpbssd(0, 4, 5);\n        _tile_loadd(6,", EMULATED),
    ("AMX takes the high plane for unsigned", "src/kernel/x86/matmul_amx.c", "                _tile_dpbssd(2, 4, 7);", "                _tile_dpbsud(2, 4, 7);", EMULATED),
    ("AMX begins half a tile's chains with the other half's", "src/kernel/x86/matmul_amx.c", "const int row = before->half * HALF;", "const int row = next->half * HALF;", EMULATED),
    ("AVX-512 adds both panels to the first one's chains", "src/kernel/x86/matmul_avx512vnni.c", "count, acc + i * count, &ahead", "count, acc, &ahead", EMULATED),
    ("AVX-512 reads the first panel twice", "src/kernel/x86/matmul_avx512vnni.c", "add_chunk(s, panel_block,", "add_chunk(s, block,", EMULATED),
    ("AVX-512 takes a last panel for two", "src/kernel/x86/matmul_avx512vnni.c", "args->last_panel - panel < STREAMS ? 1", "args->last_panel == panel ? 1", EMULATED),
    ("AMX adds both panels to the first one's chains", "src/kernel/x86/matmul_amx.c", "acc + which * tiling->tokens + tile_first", "acc + tile_first", EMULATED),
    ("AMX reads the first panel twice", "src/kernel/x86/matmul_amx.c", "begin + which * w->panel_bytes", "begin", EMULATED),
    ("AVX-512 stores what is left over as the codes", "src/kernel/x86/vector_avx512vnni.c", "store_four(args, at + 1, fine)", "store_four(args, at, fine)", EMULATED),
    ("AVX-512 quantises what is not finite", "src/kernel/x86/vector_avx512vnni.c", "_mm_set1_epi32(0x7f7fffff)", "_mm_set1_epi32(0x7fffffff)", EMULATED),
    ("AVX-512 keeps no blocks apart", "src/kernel/x86/vector_avx512vnni.c", "(at + (size_t)i * 2 * args->stride)", "(at + (size_t)i * 2)", EMULATED),
    ("AVX-512 has BF16 bits in the wrong half", "src/kernel/x86/matmul_avx512vnni.c", "_mm512_cvtepu16_epi32(halves), 16)", "_mm512_cvtepu16_epi32(halves), 15)", EMULATED),
    ("AVX2 sums in another order", "src/kernel/x86/attention_avx2.c", "_mm256_add_ps(part[0], part[2]), _mm256_add_ps(part[1], part[3])",
     "_mm256_add_ps(part[0], part[1]), _mm256_add_ps(part[2], part[3])", KERNEL),
    ("AVX2 reads one position more", "src/kernel/wide/attention_state_wide.h", "left < ATTENTION_BLOCK ? left : ATTENTION_BLOCK",
     "left < ATTENTION_BLOCK - 1 ? left + 1 : ATTENTION_BLOCK", KERNEL),
    ("AVX2 adds hidden values with weight 0", "src/kernel/wide/attention_f16_wide.h", "head_dim = work->args->head_dim, visible = visible_of(work, row);",
     "head_dim = work->args->head_dim, visible = visible_of(work, row + (uint32_t)count - 1);", KERNEL),
    ("AVX2 takes scales of keys for those of int8 values", "src/kernel/wide/attention_int8_wide.h", "*value_scales = scales + ATTENTION_BLOCK;",
     "*value_scales = scales;", KERNEL),
    ("AVX2 weighs int8 values that are hidden", "src/kernel/wide/attention_int8_wide.h", "                weight[i] = keep(seen_lanes(visible, i * LANES), weight[i]);\n", "                ;\n", KERNEL),
    ("AVX2 gives weights the largest scale of hidden values too", "src/kernel/wide/attention_int8_wide.h", "float_largest_magnitude(value_scales, visible)",
     "float_largest_magnitude(value_scales, ATTENTION_BLOCK)", KERNEL),
    ("weights that are NaN count as nothing", "src/kernel/attention.c", "        weight[j] = float_exp(score[j] - maximum);\n    const float correction",
     "        weight[j] = score[j] == score[j] ? float_exp(score[j] - maximum) : 0.0f;\n    const float correction", KERNEL),
    ("AVX-512 packs codes of weights out of order", "src/kernel/x86/attention_avx512vnni.c", "_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7)",
     "_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)", EMULATED),
    ("few rows join by their corrections", "src/kernel/wide/attention_int8_wide.h", "joining = upper_half(correction);", "joining = correction;", KERNEL),
    ("coarse exponentials lose their last step", "src/kernel/arithmetic.h", "p = float_fma(p, f, EXP2_P3);", "p = float_fma(p, f, 0.6931f);",
     "build/tests/kernel/test_arithmetic"),
    ("a long context has few pieces", "src/model/attention_plan.c", "ranges_for(plan, MAX_UNITS)", "ranges_for(plan, MIN_UNITS)",
     "build/tests/model/test_attention_plan"),
    ("only few tiles are cut", "src/model/attention_plan.c", "(plan->tile_count < wanted || count <= lane)", "plan->tile_count < wanted",
     "build/tests/model/test_attention_plan"),
    ("a block's weights do not join at its own maximum", "src/kernel/wide/attention_int8_wide.h", "multiply(load_floats(units), joining)", "load_floats(units)", KERNEL),
    ("int8 values of the last few columns lie as if they were all", "src/kernel/attention.h",
     "head_dim - first < KV_COLUMNS ? head_dim - first : KV_COLUMNS", "KV_COLUMNS", KERNEL),
    ("groups of pages overlap", "src/model/kv_cache.h", "* KV_GROUP * cache->block", "* (KV_GROUP - 1) * cache->block", "build/tests/model/test_kv_cache"),
    ("pages are taken from everywhere", "src/engine/page_cache.c", "        return after + 1;\n", "        ;\n", "build/tests/engine/test_page_cache"),
    ("memory of no page is taken", "src/model/kv_cache.c", "in_group < cache->pages", "in_group < UINT32_MAX", "build/tests/model/test_kv_cache"),
    ("the last pages take huge ones", "src/model/kv_cache.c", "    if (others > 0)\n", "    if (others > KV_GROUP)\n", "build/tests/model/test_kv_cache"),
    ("memory that is prepared is cleared", "src/model/kv_cache.c", "*byte = *byte;", "*byte = 0;", "build/tests/model/test_kv_cache"),
    ("new sequences squeeze in between", "src/engine/page_cache.c", "first += HALF)", "first += 1)", "build/tests/engine/test_page_cache"),
    ("AVX2 does not begin a range anew", "src/kernel/wide/attention_wide.h", "        work->range.maximum[row] = -__builtin_inff();\n", "", KERNEL),
    ("AVX-512 sums in another order", "src/kernel/x86/attention_avx512vnni.c", "row[2 * i + 1], 0x44),\n                        _mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0xee)",
     "row[2 * i + 1], 0x88),\n                        _mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0xdd)", EMULATED),
    ("AVX2 stores infinity", "src/kernel/x86/kv_store_avx2.c", "    x = _mm256_max_ps(_mm256_set1_ps(-65504.0f), x);\n", "", KERNEL),
    ("pieces of a context overlap", "src/model/attention_plan.c", "tile->ranges * (piece + 1) / tile->pieces", "tile->ranges * (piece + 1) / tile->pieces + 1",
     "build/tests/model/test_attention_plan"),
    ("the first piece merges", "src/model/attention_plan.h", "(before + 1) % plan->tiles[tile].pieces == 0", "before % plan->tiles[tile].pieces == 0",
     "build/tests/model/test_attention_plan"),
    ("fine codes of the wrong size", "src/kernel/x86/vector_avx2.c", "_mm256_set1_ps(128.0f)", "_mm256_set1_ps(127.0f)", KERNEL),
    ("the fine plane is not added", "src/kernel/wide/matmul_store.h", "if (planes > 1)", "if (planes > 2)", KERNEL),
    ("the fine plane has the coarse scale", "src/kernel/vector.c", "args->scales[at] / 128.0f", "args->scales[at]", KERNEL),
    ("quantize loses NaN", "src/kernel/x86/vector_avx2.c", "bits >= 0x7f800000", "bits > 0xff800000", KERNEL),
    ("emulated fma rounds twice", "src/kernel/arithmetic.h", "if ((bits & 1) == 0)", "if (0)", "build/tests/kernel/test_arithmetic"),
    ("batch decides the draw", "src/sampling/sampler.c", "random_uniform(o->seed, sampler->draws++)", "random_uniform(o->seed, (uint64_t)(size_t)sampler->draws++ + (size_t)s->logits % 7)", SAMPLER),
    ("ties to the highest id", "src/sampling/sampler.c", "if (peak > most) {", "if (peak >= most) {", SAMPLER),
    ("likely tokens are skipped", "src/sampling/sampler.c", "!(logits->peaks[i / PEAK_VALUES] > min))\n                i += PEAK_VALUES", "!(logits->peaks[i / PEAK_VALUES] > min + 1))\n                i += PEAK_VALUES", SAMPLER),
    ("peaks of the panel before", "src/model/forward.c", "+ first / PEAK_VALUES,", "+ (first > 0 ? first / PEAK_VALUES - 1 : 0),", "pytest tests/model -q -x -k same_bits"),
    ("AVX2 turns numbers below zero round", "src/kernel/x86/vector_avx2.c", "_mm256_and_si256(_mm256_srai_epi32(bits, 31), magnitude)", "_mm256_setzero_si256()", KERNEL),
    ("NaN is no number only when it is positive", "src/kernel/vector.c", "is_nan || (bits & INT32_MAX) > 0x7f800000", "is_nan || bits > 0x7f800000", KERNEL),
    ("the last candidates are not looked at", "src/sampling/sampler.c", "has_weight(s->weights + begin, end - begin, min)", "has_weight(s->weights + begin, end - begin - 1, min)", SAMPLER),
    ("the upper bits of weights are not sorted", "src/sampling/sampler.c", "DIGITS = 3,", "DIGITS = 2,", SAMPLER),
    ("top-p keeps one too few", "src/sampling/sampler.c", "(kept == 0 || sum < reach)", "(kept == 0 || sum + (double)s->candidates[kept].weight < reach)", SAMPLER),
    ("cancelled sequences keep pages", "src/engine/slot.c", "while (slot->page_count > 0)", "while (slot->page_count > 1)", LIBRARY),
    ("keys share their pages", "src/engine/page_cache.c", "while (p->key == key && same < max", "while (same < max", "build/tests/engine/test_page_cache"),
    ("a shared beginning is not copied", "src/engine/slot.c", "                kv_cache_copy_page(kv, page, slot->pages[at]);\n", "                ;\n", LIBRARY),
    ("the last page is cached too long", "src/engine/slot.c", "rest = slot->computed % KV_PAGE_POSITIONS, cached", "rest = sequence->token_count % KV_PAGE_POSITIONS, cached", LIBRARY),
    ("nobody waits for a page", "src/engine/slot.c", "return other != slot && its &&", "return false && its &&", LIBRARY),
    ("a prompt waits for the answer to another", "src/engine/slot.c", "other->computed < reach &&", "", ENGINE),
    ("a parent is evicted before its child", "src/engine/page_cache.c", "while (page != NO_PAGE && cache->pages[page].first_child != NO_PAGE)", "while (0)",
     "build/tests/engine/test_page_cache"),
    ("a wrong guess is kept", "src/engine/step.c", "s->tokens[s->token_count - 1] != guess ||", "", LIBRARY),
    ("guesses count as computed", "src/engine/step.c", "slot->computed += slot->planned - slot->drafted;", "slot->computed += slot->planned;", LIBRARY),
    ("failed guesses go on", "src/engine/drafter.c", "drafter->pause = drafter->penalty;", "drafter->pause = 0;", "build/tests/engine/test_drafter"),
    ("a sequence goes on with another draw", "src/sampling/sampler.c", "    sampler->draws = count;\n", "", ENGINE),
    ("a sequence goes on without its penalties", "src/sampling/sampler.c", "sampler->generated[generated[i]]++;", ";", ENGINE),
    ("keys do not share slots", "src/engine/admission.c", "uint32_t max = rank + 1;", "uint32_t max = 1000;", ENGINE),
    ("slow readers keep their slot", "src/engine/admission.c", "return slow ? slow : unfair;", "return unfair;", ENGINE),
    ("the oldest gives up its pages", "src/engine/step.c", "slot->sequence->id > taker->sequence->id", "slot->sequence->id < taker->sequence->id", ENGINE),
    ("reading ahead beside streams", "src/engine/admission.c", "if (atomic_load(&engine->running) > 0 || slot->sequence)", "if (slot->sequence)", ENGINE),
    ("what is read ahead lacks its last token", "src/engine/step.c", "if (ahead->computed == ahead->sequence->token_count)", "if (ahead->computed + 1 >= ahead->sequence->token_count)", ENGINE),
    ("deadlines are not looked at", "src/engine/sequence.c", "now_ns >= sequence->deadline_ns", "false", ENGINE),
    ("urgent ones wait", "src/engine/queue.c", "a->request.priority < b->request.priority", "a->request.priority > b->request.priority", "build/tests/engine/test_queue"),
    ("keys read each other's answers", "src/engine/history.c", "place->key != key || ", "", "build/tests/engine/test_history"),
    ("overwritten answers are found", "src/engine/history.c", "place->end - HISTORY_MATCH + HISTORY_TOKENS < history->added", "false", "build/tests/engine/test_history"),
    ("the next turn is told too long", "src/library/next_turn.c", "(uint32_t)common);", "(uint32_t)common + 1);", LIBRARY),
    ("thinking comes back", "src/library/next_turn.c", "    case CHAT_EVENT_TEXT:\n", "    case CHAT_EVENT_TEXT:\n        buffer_append_string(&answer->content, \" \");\n", LIBRARY),
    ("prompts do not yield to streams", "src/engine/pacer.c", "pacer->room *= ratio;", "pacer->room *= 1.05;", "build/tests/engine/test_pacer"),
    ("tokens of a pass count once", "src/engine/engine_meter.c", "seconds_since(*last_ns) / drawn,", "seconds_since(*last_ns),", "build/tests/engine/test_histogram"),
    ("a bound belongs to the range above", "src/engine/histogram.c", "value > histogram->bounds[range]", "value >= histogram->bounds[range]",
     "build/tests/engine/test_histogram"),
    ("buckets are not cumulative", "src/api/metrics_route.c", "        count += h->counts[i];\n", "        count = h->counts[i];\n",
     "pytest tests/server/test_metrics.py -q -x"),
    ("refusals are not counted", "src/server/connection_answer.c", "    api_count_answer(c->server->api, head.status);\n", "",
     "pytest tests/server/test_metrics.py -q -x"),
    ("evicted pages are not counted", "src/engine/page_cache.c", "    cache->evicted++;\n", "",
     "pytest tests/server/test_metrics.py -q -x"),
    ("a left answer tells no tokens", "src/api/generation.c", "            smollm_request_get_usage(choice->request, &usage);\n", "            ;\n",
     "pytest tests/server/test_http_rules.py -q -x -k log"),
    ("a place outlives the queue", "src/library/token_events.c", "        request->has_queued = false; /* an", "        ; /* an", LIBRARY),
    ("places are told to those who did not ask", "src/library/token_events.c", "    if (!request->want_progress)\n        return;\n", "", LIBRARY),
    ("an unknown wait is told as a number", "src/api/generation.c", "event->queue.seconds < 0 ? (double)NAN : event->queue.seconds", "event->queue.seconds",
     "build/tests/api/test_api"),
    ("limits above the own cgroup are passed over", "src/base/system_limits.c", "        *slash = '\\0';\n", "        return left;\n",
     "build/tests/base/test_system_memory"),
    ("files in memory count as taken", "src/base/system_limits.c", "used > files ? used - files : 0", "used", "build/tests/base/test_system_memory"),
    ("an unlimited answer is an absurd one", "src/api/generation_request.c", "INTEGER(\"n_predict\", n_predict, -1, 1 << 24)", "INTEGER(\"n_predict\", n_predict, 0, 1 << 24)",
     "pytest tests/server/test_routes.py -q -x"),
    ("the queue has no end", "src/engine/engine.c", "engine->queue.new_ones >= engine->options.queue", "0", LIBRARY),
    ("stop strings are sent", "src/library/stop_matcher.c", "return BEGINNING;", "return NEITHER;", LIBRARY),
    ("a full ring is written on", "src/library/token_events.c", "        atomic_store(&request->has_room, false);", "        ;", LIBRARY),
    ("an allocation per token", "src/library/token_events.c", "    return !request->stops.matched && !request->is_lost;", "    struct buffer waste = {0}; buffer_reserve(&waste, 8); buffer_free(&waste);\n    return !request->stops.matched && !request->is_lost;", LIBRARY),
    ("special tokens in user text", "src/chat/chat_prompt.c", "    buffer_append_text(&prompt->text, text);",
     "    char copy[4096]; snprintf(copy, sizeof copy, \"%.*s\", (int)text.size, text.data); prompt_append_format(prompt, copy);",
     "pytest tests/chat -q -x"),
    ("pages left behind by an end", "src/engine/slot.c", "    while (slot->page_count > 0)", "    while (slot->page_count > 1)", STORMS),
    ("sockets left open", "src/server/connection.c", "uv_close((uv_handle_t *)&c->tcp, on_closed);", "c->open_handles--;", STORMS),
    ("streams cut by a shutdown", "src/server/server.c", "for_each_connection(server, connection_abort);",
     "for_each_connection(server, close_connection);", STORMS),
    ("refusals that say no time", "src/server/response.c", "head->retry_after > 0", "false", STORMS),
    ("typed: characters of the C locale", "src/cli/main.c", 'setlocale(LC_CTYPE, "C.UTF-8")', 'setlocale(LC_CTYPE, "C")', TYPED),
    ("typed: a paste is lines", "src/cli/line_editor.c", 'el_set(editor->edit, EL_BIND, PASTE_BEGINS, "smollm-paste", NULL);', "", TYPED),
    ("typed: every slash is a command", "src/cli/chat_command.c", "return is_typed && is_word &&", "return is_word || is_word ||", TYPED),
    ("typed: two slashes stay two", "src/cli/chat_command.c", "{line.data + 1, line.size - 1};\n        return CHAT_MESSAGE;", "{line.data, line.size};\n        return CHAT_MESSAGE;", TYPED),
    ("typed: history only at the end", "src/cli/line_editor.c", "                line_history_append(editor->history_path, line->data);", "                ;", TYPED),
    ("typed: keys are echoed into the answer", "src/cli/line_editor.c", "~(tcflag_t)(ECHO | ICANON)", "~(tcflag_t)ICANON", TYPED),
    ("typed: lines are cut within words", "src/cli/word_wrap.c", "wrap->column + wrap->blanks + wrap->word_width > wrap->width", "false", TYPED),
    ("typed: no bar while a prompt is read", "src/cli/answer.c", "        f->prompt_done = event->progress.processed;", "        ;", TYPED),
    ("signals: noted while stdin is awaited", "src/cli/interrupt.c", "if (current_mode == INTERRUPT_ENDS ||", "if (", EVERY),
    ("signals: loading goes on", "src/cli/opening.c", ": !interrupt_pending();", ": true;", "pytest tests/cli/test_signals_and_pipes.py -q -x -k loading_ends"),
    ("signals: a Ctrl-C at the prompt stops the next answer", "src/cli/line_editor.c", "            interrupt_clear();\n            return INTERRUPTED;", "            return INTERRUPTED;", "pytest tests/cli/test_signals_and_pipes.py -q -x -k next_answer"),
    ("signals: serve ends where nohup started it", "src/server/server.c", "signals[i].number == SIGHUP && is_ignored(SIGHUP)", "false", "pytest tests/cli -q -x -k 'every_signal or serving or nohup'"),
    ("signals: the engine's pass is waited for", "src/cli/answer.c", "clock_seconds() - f.canceled_at > CANCEL_SECONDS", "false", "pytest tests/cli/test_signals_and_pipes.py -q -x -k long_prompt_can"),
    ("pipes: nobody looks at the output", "src/cli/print.c", "if (output_is_written() || exit_code > EXIT_USAGE)", "if (true)", EVERY),
    ("pipes: a reader that left is computed for", "src/cli/print.c", "out.revents & POLLERR", "false", "pytest tests/cli -q -x -k leaves"),
    ("pipes: closed descriptors stay closed", "src/cli/main.c", "    fill_descriptors();\n", "", "pytest tests/cli -q -x -k closed"),
    ("settings: empty is a value", "src/cli/options.c", "!text || !*text)", "!text)", SETTINGS),
    ("settings: what is overridden is checked", "src/cli/options.c", "    if (*before > source)\n        return true;\n", "", SETTINGS),
    ("settings: off is on", "src/cli/options.c", "*value = i >= 4;", "*value = true;", SETTINGS),
    ("settings: an address is a port", "src/cli/options.c", '&& strstr(text, "://")', "&& false", SETTINGS),
    ("settings: quotes are part of a value", "src/cli/config_file.c", "    if (!end)\n        return NULL;", "    return NULL;", SETTINGS),
    ("settings: a mark is part of the first line", "src/cli/config_file.c", "        text += 3;", "        ;", SETTINGS),
    ("settings: zero tokens are all", "src/cli/run.c", ".max_tokens = options->predict,", ".max_tokens = options->predict ? options->predict : -1,", SETTINGS),
    ("accounts: a token counts twice", "src/engine/account.c", "    account->counted = after;\n", "", ACCOUNT),
    ("accounts: a prompt is finished twice", "src/engine/account.c", "    if (account->prompt_done_ns > 0)\n        return;\n", "", ACCOUNT),
    ("accounts: pages are in use where nothing runs", "src/engine/admission.c", "    atomic_store(&engine->pages_used, page_cache_held(&engine->pages));\n    engine_meter_pages(&engine->meter, &engine->pages);\n    if (!sequence", "    if (!sequence", LIBRARY),
    ("lost text: the ring is for short tokens", "src/library/smollm_request.c", "EVENT_RING_BURST + 4 * token_bytes", "EVENT_RING_BURST / 16", "build/tests/library/test_lost_text"),
    ("lost text: nobody is told", "src/library/token_events.c", "if (error || request->is_lost) {", "if (error) {", "build/tests/library/test_lost_text"),
    ("sizes: a newer program is believed", "src/library/sized.h", "for (size_t i = size; i < given; i++)", "for (size_t i = given; i < given; i++)", "build/tests/library/test_options"),
    ("JSON: half a surrogate pair stays", "src/api/json_prepare.c", "else if (is_high(unit) || is_low(unit)) {", "else if (false) {", "build/tests/api/test_api"),
    ("JSON: a large number is read as it is", "src/api/json_prepare.c", "size < 5 || !is_out_of_range(p->body.data + begin, size)", "true", "build/tests/api/test_api"),
    ("JSON: a name may come twice", "src/api/json_prepare.c", "if (text_equal(keys[i], name)) {", "if (false) {", "pytest tests/server/test_routes.py tests/server/test_http_rules.py -q -x"),
    ("half close: the client has left", "src/server/connection.c", "c->state != CONNECTION_WORKING && c->state != CONNECTION_ANSWERING", "true", "pytest tests/server/test_http_rules.py -q -x -k half"),
    ("half close: nobody is probed", "src/server/connection_answer.c", "    if (c->is_writing || c->answer_is_done)\n        return;\n    if (c->head_is_sent) {", "    if (c)\n        return;\n    if (c->head_is_sent) {", "pytest tests/server -q -x -k 'left or leavers or half'"),
    ("loading: health is fine", "src/api/info_routes.c", "if (!is_draining && atomic_load(&api->is_attached)) {", "if (!is_draining) {", "pytest tests/server/test_loading.py -q -x"),
    ("draining: health is fine", "src/api/info_routes.c", "if (!is_draining && atomic_load(&api->is_attached)) {", "if (atomic_load(&api->is_attached)) {", "pytest tests/server/test_lifetime.py tests/server/test_loading.py -q -x"),
    ("parts: another part is taken", "src/gguf/gguf_split.c", "if (status == 0 && (its_part != part || its_count != count))", "if (false)", "pytest tests/cli/test_files_of_others.py -q -x"),
    ("memory: nobody asks", "src/base/system_limits.c", "        all > (double)available, error, SMOLLM_ENOMEM,", "        false, error, SMOLLM_ENOMEM,", "pytest tests/cli/test_fits_memory.py -q -x"),
    ("roots: the trees of all keys are one list", "src/engine/page_cache.c", "hash_mix(key ^ cache->seed) & cache->root_mask", "0", "build/tests/engine/test_page_cache"),
    ("a small min-p leaves the others their share", "src/sampling/sampler.c", "            if (!complete)\n                continue; /* the mass of what min-p leaves is not known yet */\n            mass = sum_of(s->candidates, count);", "            if (complete)\n                mass = sum_of(s->candidates, count);", SAMPLER),
    ("foreign: C1 controls pass", "src/base/printable.c", "c < 0xa0", "c < 0x80", "pytest tests/cli/test_foreign_bytes.py -q -x"),
    ("foreign: the name of a model is printed raw", "src/cli/chat.c", "print_foreign(stdout, text_of(chat->info.name));", "fputs(chat->info.name, stdout);", "pytest tests/cli/test_foreign_bytes.py -q -x"),
    ("foreign: usage errors are printed raw", "src/cli/print.c", "printable_copy(shown, sizeof shown, text, strlen(text));", "memcpy(shown, text, sizeof shown);", "pytest tests/cli/test_foreign_bytes.py -q -x"),
    ("foreign: errors keep broken bytes", "src/base/error.c", "printable_copy(error->message, sizeof error->message, text, size - tail);", "memcpy(error->message, text, size - tail + 1);", "build/tests/base/test_base"),
    ("schemas: a surplus element is taken", "src/grammar/machine.c", "if (f->count > limit || shape->min > limit)", "if (shape->min > limit)", MASKS),
    ("schemas: a name may come twice", "src/grammar/machine.c", "        next.used = set_with(m, f->used, name);", "        ;", GRAMMAR),
    ("schemas: a required member may be missing", "src/grammar/machine.c", "return f->count >= f->shape->min && members_missing(m, f) == 0;", "return f->count >= f->shape->min;", MASKS),
    ("schemas: oneOf is anyOf", "src/grammar/schema_shape.c", "                    alone = product(q, alone, shapes_of(plain, other, false), list);", "                    ;", MASKS),
    ("schemas: names of other members are free", "src/grammar/token_mask.c", "            return false;\n    }\n    return true;\n}\n\n/* Whether a step that", "            return true;\n    }\n    return true;\n}\n\n/* Whether a step that", GRAMMAR),
    ("numbers: a bound is left out", "src/grammar/number.c", "    if (count == 0 && !strict)\n        return n->fraction;", "    if (count == 0)\n        return n->fraction;", TERMS),
    ("expressions: $ is nothing", "src/grammar/regex.c", "        return term_and(p->terms, TERM_EMPTY, rest);", "        return rest;", TERMS),
    ("grammars: left recursion is followed", "src/grammar/gbnf.c", "        check_left_rule(p, i);", "        ;", GRAMMAR),
    ("grammars: what never ends is kept", "src/grammar/gbnf.c", "    if (!is_productive(p, node)) {", "    if (false) {", GRAMMAR),
    ("masks: more characters are free than are", "src/grammar/term.c", "        free += goes_on;", "        free += 1 + goes_on;", TERMS),
    ("forms: going back forgets the trace", "src/grammar/grammar.c", "    m->trace.place = m->history[m->length].trace;", "    ;", GRAMMAR),
    ("forms: the mask is not asked for", "src/engine/step.c", "request->form.mask ? request->form.mask(request->form.user, &allowed, &error) : 0;", "0;", FORMS),
    ("forms: thinking is held to the form", "src/library/answer_form.c", "    if (!f->has_begun && f->parser->state == CHAT_STATE_THINKING) {\n        f->after_thinking = true;", "    if (false) {\n        f->after_thinking = true;", FORMS),
    ("tools: a call is free", "src/library/answer_form.c", "            begin_call(f);", "            ;", "pytest tests/server/test_tools.py -q -x"),
]


def main():
    wanted = sys.argv[1:] or [""]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("build*", ".git", "node_modules", ".venv"))
        os.symlink(ROOT / ".venv", copy / ".venv")
        run = lambda command: subprocess.run(command, cwd=copy, shell=True, capture_output=True, text=True,
                                             env={**os.environ, "SMOLLM": f"{copy}/build/smollm", "SMOLLM_BUILD_DIR": f"{copy}/build",
                                                  "PATH": f"{copy}/.venv/bin:{os.environ['PATH']}"})
        assert run("scripts/configure.sh build -Dtests=enabled && ninja -C build").returncode == 0
        for name, file, old, new, test in CHANGES:
            if not any(part in name for part in wanted):
                continue
            path = copy / file
            source = path.read_text()
            if source.count(old) != 1:
                print(f"GONE       {name}: {file} does not have this text once")
                unnoticed += 1
                continue
            path.write_text(source.replace(old, new))
            built = run(f"ninja -C build {test.removeprefix('build/') if test.startswith('build/') else ''}")
            result = run("timeout 300 " + test if built.returncode == 0 else "false")
            path.write_text(source)
            verdict = "does not build" if built.returncode else "noticed" if result.returncode else "UNNOTICED"
            unnoticed += verdict != "noticed"
            print(f"{verdict:10} {name}", flush=True)
    sys.exit(unnoticed > 0)


if __name__ == "__main__":
    main()
