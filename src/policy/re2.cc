// policy/re2.cc -- RE2 behind the C interface of re2_regex.h.
//
// Every function that may allocate has its own barrier: nothing is thrown into C.
#include "policy/re2_regex.h"

#include <re2/re2.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

using re2::RE2;
using re2::StringPiece;

struct re2_regex : RE2 {
    using RE2::RE2;
};

namespace
{

RE2::Options go_options(size_t memory_bytes)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(static_cast<int64_t>(memory_bytes));
    return options;
}

// In the words of Go's regexp/syntax.
const struct {
    RE2::ErrorCode code;
    const char *text;
} problems[] = {
    {RE2::ErrorBadEscape, "invalid escape sequence"},
    {RE2::ErrorBadCharClass, "invalid character class"},
    {RE2::ErrorBadCharRange, "invalid character class range"},
    {RE2::ErrorMissingBracket, "missing closing ]"},
    {RE2::ErrorMissingParen, "missing closing )"},
    {RE2::ErrorUnexpectedParen, "unexpected )"},
    {RE2::ErrorTrailingBackslash, "trailing backslash at end of expression"},
    {RE2::ErrorRepeatArgument, "missing argument to repetition operator"},
    {RE2::ErrorRepeatSize, "invalid repeat count"},
    {RE2::ErrorRepeatOp, "invalid nested repetition operator"},
    {RE2::ErrorBadPerlOp, "invalid or unsupported Perl syntax"},
    {RE2::ErrorBadUTF8, "invalid UTF-8"},
    {RE2::ErrorBadNamedCapture, "invalid named capture"},
    {RE2::ErrorPatternTooLarge, "expression too large"},
};

const char *problem_text(RE2::ErrorCode code)
{
    for (const auto &problem : problems)
        if (problem.code == code)
            return problem.text;
    return "regexp/syntax: internal error";
}

// Go shows what is wrong; of what is too large, all; of a backslash at the end, nothing.
std::string problem_place(const RE2 &re)
{
    if (re.error_code() == RE2::ErrorTrailingBackslash)
        return "";
    return re.error_code() == RE2::ErrorPatternTooLarge ? re.pattern() : re.error_arg();
}

lethe_result refuse(const RE2 &re, struct lethe_error *err)
{
    return lethe_error_set(err, LETHE_MALFORMED, "error parsing regexp: %s: `%s`",
                           problem_text(re.error_code()), problem_place(re).c_str());
}

struct re2_span span_of(const StringPiece &part, const char *text)
{
    if (part.data() == nullptr)
        return {RE2_NO_SPAN, RE2_NO_SPAN};
    const size_t start = static_cast<size_t>(part.data() - text);
    return {start, start + part.size()};
}

} // namespace

lethe_result re2_regex_create(const char *pattern, size_t size_bytes, size_t memory_bytes,
                              struct re2_regex **out, struct lethe_error *err)
try {
    *out = nullptr;
    auto regex =
        std::make_unique<re2_regex>(StringPiece(pattern, size_bytes), go_options(memory_bytes));
    if (!regex->ok())
        return refuse(*regex, err);
    *out = regex.release();
    return LETHE_OK;
} catch (const std::exception &) {
    return LETHE_NO_MEMORY;
}

void re2_regex_free(struct re2_regex *regex)
{
    delete regex;
}

unsigned re2_regex_group_count(const struct re2_regex *regex)
{
    return static_cast<unsigned>(regex->NumberOfCapturingGroups());
}

lethe_result re2_regex_group_named(const struct re2_regex *regex, const char *name, size_t length,
                                   unsigned *out)
try {
    const auto &groups = regex->NamedCapturingGroups();
    const auto group = groups.find(std::string(name, length));
    *out = group == groups.end() ? 0 : static_cast<unsigned>(group->second);
    return LETHE_OK;
} catch (const std::exception &) {
    return LETHE_NO_MEMORY;
}

unsigned re2_regex_size(const struct re2_regex *regex)
{
    return static_cast<unsigned>(regex->ProgramSize());
}

lethe_result re2_regex_find(const struct re2_regex *regex, const struct re2_search *search,
                            struct re2_span *spans, unsigned span_count, bool *found)
try {
    StringPiece few[8];
    std::vector<StringPiece> many(span_count > 8 ? span_count : 0);
    StringPiece *parts = span_count > 8 ? many.data() : few;
    const StringPiece text(search->text, search->size_bytes);
    *found = regex->Match(text, search->from, text.size(), RE2::UNANCHORED, parts,
                          static_cast<int>(span_count));
    for (unsigned i = 0; *found && i < span_count; i++)
        spans[i] = span_of(parts[i], search->text);
    return LETHE_OK;
} catch (const std::exception &) {
    return LETHE_NO_MEMORY;
}
