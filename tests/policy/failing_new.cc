// policy/failing_new.cc -- C++'s allocator, of RE2 also, of which the Nth allocation fails.
#include <cstdlib>
#include <new>

extern "C" {
extern unsigned new_calls_left; // until one fails; 0: none does
extern bool new_has_failed;
unsigned new_calls_left;
bool new_has_failed;
}

void *operator new(std::size_t size_bytes)
{
    if (new_calls_left > 0 && --new_calls_left == 0) {
        new_has_failed = true;
        throw std::bad_alloc();
    }
    void *memory = std::malloc(size_bytes > 0 ? size_bytes : 1);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}
