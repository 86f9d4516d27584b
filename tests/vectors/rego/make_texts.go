// Makes texts.txt: what Go's fmt and strings give for formats and texts chosen at random, one call a
// line: name, operands, result, with tabs between; operands and result are JSON.
//
//	go run make_texts.go > texts.txt
//
// Formats that end behind a precision are left out: versions of Go differ about them.
package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var random = rand.New(rand.NewSource(20261126))

func one(texts ...string) string { return texts[random.Intn(len(texts))] }

func encode(value any) string {
	bytes, _ := json.Marshal(value)
	return string(bytes)
}

func line(name, operands string, result any) {
	fmt.Printf("%s\t[%s]\t%s\n", name, operands, encode(result))
}

// ---- sprintf ----

var integers = []int{0, 5, -5, 255, -255, 65, 127, 8364, 1114112, -1, 55296, 10, 173, 1<<63 - 1}
var bigs = []string{"123456789123456789123", "-123456789123456789123", "18446744073709551616"}
var reals = []float64{1.5, -1.5, 0.1, 3.1415, 1e-7, -2.5e-10, 123456.789, 12345678.25, 0.00012345,
	99.995, 0.5, 1.0 / 3, 2.5, 1234567890.123, 5e-324, 0.000001, 0.75}
var texts = []string{"", "x", "héllo", "a\"b\n`", "日本語", "\x00\x7f", "\u00ad\ufeff😀"}
var terms = []string{"true", "null", `[1, "a"]`, `{"a": 1}`}

// An operand as Go's fmt gets it from OPA, and as JSON.
func operand() (any, string) {
	switch random.Intn(5) {
	case 0:
		value := integers[random.Intn(len(integers))]
		return value, strconv.Itoa(value)
	case 1:
		text := one(bigs...)
		value, _ := new(big.Int).SetString(text, 10)
		return value, text
	case 2:
		value := reals[random.Intn(len(reals))]
		return value, strconv.FormatFloat(value, 'g', -1, 64)
	case 3:
		value := one(texts...)
		return value, encode(value)
	default:
		value := one(terms...)
		return value, value
	}
}

func verb() string {
	verb := one("", "a", "é ", "-") + "%"
	for random.Intn(3) == 0 {
		verb += one("+", "-", "#", "0", " ")
	}
	if random.Intn(12) == 0 {
		verb += one("[1]", "[2]", "[9]", "[x]", "[", "[0]")
	}
	if random.Intn(4) == 0 {
		verb += strconv.Itoa(1 + random.Intn(14))
	} else if random.Intn(18) == 0 {
		verb += one("*", "10000001")
	}
	if random.Intn(4) == 0 {
		verb += "." + one("", "0", "1", "3", "8", "*", "20")
	}
	if random.Intn(12) == 0 {
		verb += one("[1]", "[2]", "[9]")
	}
	if random.Intn(30) == 0 {
		return verb
	}
	return verb + one(strings.Split("d s v x X o O b c q U e E f F g G t T z % é s v d f g q", " ")...)
}

func sprintf() {
	format := verb()
	if random.Intn(2) == 0 {
		format += verb()
	}
	if last := strings.LastIndex(format, "%"); strings.HasSuffix(format, ".") && last >= 0 {
		return
	}
	var values []any
	var jsons []string
	for i := random.Intn(4); i > 0; i-- {
		value, text := operand()
		values = append(values, value)
		jsons = append(jsons, text)
	}
	result := fmt.Sprintf(format, values...)
	if len(result) < 500 {
		line("sprintf", encode(format)+", ["+strings.Join(jsons, ", ")+"]", result)
	}
}

// ---- strings ----

func text(length int) string {
	text := ""
	for i := random.Intn(length + 1); i > 0; i-- {
		text += one("a", "b", "a", "ä", "日", "😀", ".", " ", "B")
	}
	return text
}

func runeIndex(text string, index int) int {
	if index < 0 {
		return index
	}
	return utf8.RuneCountInString(text[:index])
}

func calls() {
	a, b, c := text(9), text(2), text(3)
	two := encode(a) + ", " + encode(b)
	line("contains", two, strings.Contains(a, b))
	line("startswith", two, strings.HasPrefix(a, b))
	line("endswith", two, strings.HasSuffix(a, b))
	line("split", two, strings.Split(a, b))
	line("strings.count", two, strings.Count(a, b))
	line("trim", two, strings.Trim(a, b))
	line("trim_left", two, strings.TrimLeft(a, b))
	line("trim_right", two, strings.TrimRight(a, b))
	line("trim_prefix", two, strings.TrimPrefix(a, b))
	line("trim_suffix", two, strings.TrimSuffix(a, b))
	line("replace", two+", "+encode(c), strings.ReplaceAll(a, b, c))
	if b != "" {
		line("indexof", two, runeIndex(a, strings.Index(a, b)))
	}
	patterns := map[string]string{"a" + b: c, b + "b": a, "ä": b}
	var pairs []string
	for _, key := range sorted(patterns) {
		pairs = append(pairs, key, patterns[key])
	}
	line("strings.replace_n", encode(patterns)+", "+encode(a), strings.NewReplacer(pairs...).Replace(a))
}

func sorted(patterns map[string]string) []string {
	var keys []string
	for key := range patterns {
		at := 0
		for at < len(keys) && keys[at] < key {
			at++
		}
		keys = append(keys[:at], append([]string{key}, keys[at:]...)...)
	}
	return keys
}

// All characters of a block of 512 that this version of Go knows.
func letters(first rune) {
	var block strings.Builder
	for r := first; r < first+512; r++ {
		if unicode.IsGraphic(r) || unicode.IsControl(r) {
			block.WriteRune(r)
		}
	}
	all := block.String()
	if lower := strings.ToLower(all); lower != all {
		line("lower", encode(all), lower)
	}
	if upper := strings.ToUpper(all); upper != all {
		line("upper", encode(all), upper)
	}
}

func main() {
	for i := 0; i < 2500; i++ {
		sprintf()
	}
	for i := 0; i < 150; i++ {
		calls()
	}
	for first := rune(0); first < 0x20000; first += 512 {
		letters(first)
	}
}
