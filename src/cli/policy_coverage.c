#include "cli/policy_coverage.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/policy_document.h"

enum line { LINE_EMPTY, LINE_MISSED, LINE_COVERED };

/* The lines of one module. */
struct sheet {
    const struct source *source;
    uint8_t *lines; /* enum line, by row; row 0 is none */
    unsigned rows;
};

struct survey {
    const struct plan *plan;
    const uint8_t *covered;
    uint8_t *seen; /* by id: sequences join again, and each step is looked at once */
    struct sheet *sheets;
    size_t sheet_count;
};

/* ---- marking lines ---- */

static void mark(struct survey *survey, struct place place, uint32_t id)
{
    unsigned row, column;
    for (size_t i = 0; i < survey->sheet_count; i++) {
        struct sheet *sheet = &survey->sheets[i];
        if (sheet->source != place.source)
            continue;
        place_row_column(place, &row, &column);
        REQUIRE(row <= sheet->rows);
        if (survey->covered[id])
            sheet->lines[row] = LINE_COVERED;
        else if (sheet->lines[row] == LINE_EMPTY)
            sheet->lines[row] = LINE_MISSED;
        return;
    }
}

/* Sequences are as deep in each other as the parser let brackets and bodies be. */
static void mark_steps(struct survey *survey, const struct step *step)
{
    for (; step != NULL && !survey->seen[step->id]; step = step->next) {
        survey->seen[step->id] = 1;
        if (step->kind != STEP_YIELD && step->kind != STEP_WITHOUT)
            mark(survey, step->place, step->id);
        if (step->kind == STEP_NOT || step->kind == STEP_COLLECT || step->kind == STEP_EVERY)
            mark_steps(survey, step->inner.start);
        if (step->kind == STEP_WITH)
            mark_steps(survey, step->with.start);
    }
}

static void mark_rule(struct survey *survey, const struct plan_rule *rule)
{
    for (; rule != NULL; rule = rule->else_rule) {
        mark(survey, rule->source->head_place, rule->id);
        mark_steps(survey, rule->start);
    }
}

static void mark_node(struct survey *survey, const struct plan_node *node)
{
    for (size_t i = 0; node->rules != NULL && i < node->rules->count; i++)
        mark_rule(survey, node->rules->rules[i]);
    if (node->rules != NULL)
        mark_rule(survey, node->rules->default_rule);
    for (size_t i = 0; i < node->child_count; i++)
        mark_node(survey, node->children[i]);
}

/* ---- the report ---- */

static const struct value *row_value(struct arena *arena, unsigned row)
{
    struct value_pairs pairs = {0};
    document_member(arena, &pairs, "row", value_small(arena, row));
    return value_object(arena, &pairs, NULL);
}

static const struct value *ranges(struct arena *arena, const struct sheet *sheet, enum line kind)
{
    struct value_list list = {0};
    for (unsigned row = 1; row <= sheet->rows; row++) {
        unsigned end = row;
        if (sheet->lines[row] != kind)
            continue;
        while (end < sheet->rows && sheet->lines[end + 1] == kind)
            end++;
        struct value_pairs pairs = {0};
        document_member(arena, &pairs, "start", row_value(arena, row));
        document_member(arena, &pairs, "end", row_value(arena, end));
        value_list_append(arena, &list, value_object(arena, &pairs, NULL));
        row = end;
    }
    return value_array(arena, &list);
}

static unsigned count_lines(const struct sheet *sheet, enum line kind)
{
    unsigned count = 0;
    for (unsigned row = 1; row <= sheet->rows; row++)
        count += sheet->lines[row] == kind;
    return count;
}

/* To two digits behind the point. */
static const struct value *percent_value(struct arena *arena, unsigned part, unsigned all)
{
    char text[32];
    struct number number;
    uint64_t hundredths = all > 0 ? ((uint64_t)part * 10000 + all / 2) / all : 10000;
    if (hundredths % 100 == 0)
        return value_small(arena, (int64_t)hundredths / 100);
    snprintf(text, sizeof text, "%u.%02u", (unsigned)hundredths / 100, (unsigned)hundredths % 100);
    return number_parse(arena, text, strlen(text), &number) ? value_number(arena, &number) : NULL;
}

static void put_totals(struct arena *arena, struct value_pairs *pairs, unsigned covered,
                       unsigned missed)
{
    document_member(arena, pairs, "covered_lines", value_small(arena, covered));
    document_member(arena, pairs, "not_covered_lines", value_small(arena, missed));
    document_member(arena, pairs, "coverage", percent_value(arena, covered, covered + missed));
}

static const struct value *file_report(struct arena *arena, const struct sheet *sheet)
{
    struct value_pairs pairs = {0};
    document_member(arena, &pairs, "covered", ranges(arena, sheet, LINE_COVERED));
    document_member(arena, &pairs, "not_covered", ranges(arena, sheet, LINE_MISSED));
    put_totals(arena, &pairs, count_lines(sheet, LINE_COVERED), count_lines(sheet, LINE_MISSED));
    return value_object(arena, &pairs, NULL);
}

static const struct value *whole_report(struct arena *arena, const struct survey *survey)
{
    unsigned covered = 0, missed = 0;
    struct value_pairs files = {0}, all = {0};
    for (size_t i = 0; i < survey->sheet_count; i++) {
        const struct sheet *sheet = &survey->sheets[i];
        document_member(arena, &files, sheet->source->name, file_report(arena, sheet));
        covered += count_lines(sheet, LINE_COVERED);
        missed += count_lines(sheet, LINE_MISSED);
    }
    document_member(arena, &all, "files", value_object(arena, &files, NULL));
    put_totals(arena, &all, covered, missed);
    return value_object(arena, &all, NULL);
}

/* ---- all together ---- */

static unsigned rows_of(const struct source *source)
{
    unsigned rows = 1;
    for (size_t i = 0; i < source->size_bytes; i++)
        rows += source->text[i] == '\n';
    return rows;
}

static lethe_result make_sheets(struct survey *survey, struct arena *arena)
{
    const struct plan *plan = survey->plan;
    survey->seen = arena_zalloc(arena, plan->id_count + 1, 1);
    survey->sheets = arena_zalloc(arena, plan->module_count + 1, sizeof(struct sheet));
    TRY(arena_result(arena, NULL));
    for (size_t i = 0; i < plan->module_count; i++) {
        struct sheet *sheet = &survey->sheets[survey->sheet_count++];
        sheet->source = plan->modules[i]->source;
        sheet->rows = rows_of(sheet->source);
        sheet->lines = arena_zalloc(arena, (size_t)sheet->rows + 1, 1);
    }
    return arena_result(arena, NULL);
}

lethe_result policy_coverage(const struct plan *plan, const uint8_t *covered, struct arena *arena,
                             const struct value **out, struct lethe_error *err)
{
    struct survey survey = {.plan = plan, .covered = covered};
    if (make_sheets(&survey, arena) == LETHE_OK) {
        mark_node(&survey, plan->root);
        *out = whole_report(arena, &survey);
    }
    return arena_result(arena, err);
}

/* ---- for people ---- */

static void print_rows(const struct value *list, struct buffer *out)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct value *start = value_get_text(list->items[i], "start");
        const struct value *end = value_get_text(list->items[i], "end");
        buffer_text(out, i > 0 ? ", " : "");
        value_print_json(value_get_text(start, "row"), out);
        if (value_equal(start, end))
            continue;
        buffer_text(out, "-");
        value_print_json(value_get_text(end, "row"), out);
    }
}

static void print_totals(const struct value *report, const char *name, struct buffer *out)
{
    buffer_format(out, "%s: ", name);
    value_print_json(value_get_text(report, "coverage"), out);
    buffer_text(out, " % of lines covered");
}

void policy_coverage_print(const struct value *report, struct buffer *out)
{
    const struct value *files = value_get_text(report, "files");
    for (uint32_t i = 0; i < files->count; i++) {
        const struct value *file = files->pairs[i].value;
        const struct value *missed = value_get_text(file, "not_covered");
        print_totals(file, files->pairs[i].key->string, out);
        if (missed->count > 0) {
            buffer_text(out, ", not ");
            print_rows(missed, out);
        }
        buffer_byte(out, '\n');
    }
    print_totals(report, "all", out);
    buffer_byte(out, '\n');
}
