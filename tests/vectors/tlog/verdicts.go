// Makes verdicts.json: what golang.org/x/mod (sumdb/note, sumdb/tlog) says of good and bad notes and proofs,
// and that it takes what Lethe wrote (four files: key, checkpoint, proof, record).
//
//	go run verdicts.go vectors.json 120 KEY CHECKPOINT PROOF RECORD >verdicts.json
//
// With golang-go and golang-golang-x-mod-dev of Debian 12: GO111MODULE=off GOPATH=/usr/share/gocode.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type noteRow struct {
	What string `json:"what"`
	Note string `json:"note"` // base64
	Good bool   `json:"good"`
}

func open(msg []byte, v note.Verifier) bool {
	n, err := note.Open(msg, note.VerifierList(v))
	return err == nil && len(n.Sigs) > 0
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = h[x]
	}
	return out, nil
}

func main() {
	var v struct {
		Note struct {
			Skey   string `json:"skey_go"`
			Vkey   string `json:"vkey"`
			Signed string `json:"signed"`
			Text   string `json:"text"`
		} `json:"note"`
	}
	b, _ := os.ReadFile(os.Args[1])
	if err := json.Unmarshal(b, &v); err != nil {
		panic(err)
	}
	random, _ := strconv.Atoi(os.Args[2])
	verifier, err := note.NewVerifier(v.Note.Vkey)
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(v.Note.Skey)
	if err != nil {
		panic(err)
	}
	r := rand.New(rand.NewSource(1))
	skey2, vkey2, _ := note.GenerateKey(r, "example.com/other")
	signer2, _ := note.NewSigner(skey2)
	_ = vkey2
	skey3, _, _ := note.GenerateKey(r, "example.com/audit") // the name of the log, another key
	signer3, _ := note.NewSigner(skey3)
	sign := func(text string, s ...note.Signer) string {
		m, err := note.Sign(&note.Note{Text: text}, s...)
		if err != nil {
			panic(err)
		}
		return string(m)
	}
	var notes []noteRow
	add := func(what, n string) {
		notes = append(notes, noteRow{what, base64.StdEncoding.EncodeToString([]byte(n)), open([]byte(n), verifier)})
	}
	good := v.Note.Signed
	text := v.Note.Text
	line := good[len(text)+1:]
	fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
	raw, _ := base64.StdEncoding.DecodeString(fields[2])
	enc := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	sigline := func(name string, b []byte) string { return "\u2014 " + name + " " + enc(b) + "\n" }
	add("as signed", good)
	add("two signatures", sign(text, signer, signer2))
	add("the other signature first", sign(text, signer2, signer))
	add("only by another name", sign(text, signer2))
	add("only by another key of the same name", sign(text, signer3))
	add("also by another key of the same name", sign(text, signer3, signer))
	add("an extension line", sign(text+"extension\n", signer))
	add("no signature", text+"\n")
	add("no signature and no blank line", text)
	add("no newline at the end", strings.TrimSuffix(good, "\n"))
	add("a newline more at the end", good+"\n")
	add("two blank lines before the signature", text+"\n\n"+line)
	add("no blank line", text+line)
	add("nothing", "")
	add("one newline", "\n")
	add("two newlines", "\n\n")
	add("no text", "\n"+line)
	add("carriage returns", strings.ReplaceAll(good, "\n", "\r\n"))
	add("a carriage return at the end", strings.TrimSuffix(good, "\n")+"\r\n")
	add("a tab in the text", strings.Replace(good, "300", "300\t", 1))
	add("a NUL in the text", strings.Replace(good, "300", "300\x00", 1))
	add("not UTF-8", strings.Replace(good, "audit\n300", "audit\xff\n300", 1))
	add("a hyphen for the dash", strings.Replace(good, "\u2014 ", "- ", 1))
	add("two spaces behind the dash", strings.Replace(good, "\u2014 ", "\u2014  ", 1))
	add("a space behind the signature", strings.TrimSuffix(good, "\n")+" \n")
	add("no signature behind the name", text+"\n\u2014 example.com/audit\n")
	add("an empty signature", text+"\n\u2014 example.com/audit \n")
	add("four bytes of signature", text+"\n"+sigline("example.com/audit", raw[:4]))
	add("five bytes of signature", text+"\n"+sigline("example.com/audit", raw[:5]))
	add("a byte of signature too few", text+"\n"+sigline("example.com/audit", raw[:len(raw)-1]))
	add("a byte of signature too many", text+"\n"+sigline("example.com/audit", append(append([]byte{}, raw...), 0)))
	add("another name", text+"\n"+sigline("example.com/audi", raw))
	add("a name with a plus", text+"\n"+sigline("example.com/a+", raw)+line)
	add("a name with a wide space", text+"\n"+sigline("example.com/a\u3000", raw)+line)
	add("a name with a next line character", text+"\n"+sigline("a\u0085", raw)+line)
	other := append([]byte{}, raw...)
	other[0] ^= 1
	add("another key id", text+"\n"+sigline("example.com/audit", other))
	add("another key id, and the right one", text+"\n"+sigline("example.com/audit", other)+line)
	bad := append([]byte{}, raw...)
	bad[40] ^= 1
	add("a bad signature before the good one", text+"\n"+sigline("example.com/audit", bad)+line)
	add("a bad signature behind the good one", text+"\n"+line+sigline("example.com/audit", bad))
	add("the good signature twice", text+"\n"+line+line)
	add("a line that is none behind the signature", good+"no signature\n")
	add("an empty line behind the signature", good+"\n"+line)
	add("padding that is not zero", strings.TrimSuffix(good, "\n")[:len(good)-1]) // as it is: its length is a multiple of three
	add("url alphabet", text+"\n\u2014 example.com/audit "+base64.URLEncoding.EncodeToString(raw)+"\n")
	add("no padding", text+"\n\u2014 example.com/other "+base64.RawStdEncoding.EncodeToString(raw[:7])+"\n"+line)
	add("spare bits", text+"\n\u2014 example.com/other AAAAAAB=\n"+line)
	add("signed text that looks like a note", sign(text+"\u2014 example.com/audit "+enc(raw)+"\n", signer))
	add("text of another note with this signature", strings.Replace(text, "300", "301", 1)+"\n"+line)
	many := text + "\n" + line
	for i := 0; i < 15; i++ {
		many += sigline(fmt.Sprintf("w%d", i), raw)
	}
	add("sixteen signatures", many)
	for i := 0; i < 120; i++ {
		many += sigline(fmt.Sprintf("x%d", i), raw)
	}
	add("a hundred and thirty-six signatures", many)
	alphabet := []byte("\n\x00 0=+A/\xe2\x80\x94\xff\x7f3")
	for i := 0; i < random; i++ {
		m := []byte(good)
		if r.Intn(2) == 0 {
			m = []byte(sign(text, signer2, signer))
		}
		for k := 1 + r.Intn(2); k > 0; k-- {
			at := r.Intn(len(m))
			switch r.Intn(4) {
			case 0:
				m[at] = alphabet[r.Intn(len(alphabet))]
			case 1:
				m = append(m[:at], m[at+1:]...)
			case 2:
				m = append(m[:at], append([]byte{alphabet[r.Intn(len(alphabet))]}, m[at:]...)...)
			case 3: // a line once more, or away
				lines := strings.SplitAfter(string(m), "\n")
				j := r.Intn(len(lines))
				if r.Intn(2) == 0 {
					lines = append(lines[:j], lines[j+1:]...)
				} else {
					lines[j] += lines[r.Intn(len(lines))]
				}
				m = []byte(strings.Join(lines, ""))
			}
		}
		add("random", string(m))
	}

	// proofs: made for one place, changed, and checked at another
	const N = 9
	var store hashes
	roots := []tlog.Hash{tlogEmpty()}
	for i := int64(0); i < N; i++ {
		hs, err := tlog.StoredHashes(i, []byte(fmt.Sprintf("entry-%d", i)), store)
		if err != nil {
			panic(err)
		}
		store = append(store, hs...)
		th, err := tlog.TreeHash(i+1, store)
		if err != nil {
			panic(err)
		}
		roots = append(roots, th)
	}
	changes := []func([]tlog.Hash) []tlog.Hash{
		func(p []tlog.Hash) []tlog.Hash { return p },
		func(p []tlog.Hash) []tlog.Hash { return p[min(1, len(p)):] },
		func(p []tlog.Hash) []tlog.Hash { return p[:max(0, len(p)-1)] },
		func(p []tlog.Hash) []tlog.Hash { return append(p, roots[1]) },
		func(p []tlog.Hash) []tlog.Hash { return append([]tlog.Hash{roots[1]}, p...) },
		func(p []tlog.Hash) []tlog.Hash {
			q := append([]tlog.Hash{}, p...)
			for i := range q {
				q[i] = p[len(p)-1-i]
			}
			return q
		},
	}
	type row [5]int64
	var included, grown []row
	tried, triedGrown := 0, 0
	for size := int64(1); size <= N; size++ {
		for index := int64(0); index < size; index++ {
			p, err := tlog.ProveRecord(size, index, store)
			if err != nil {
				panic(err)
			}
			for c, change := range changes {
				q := change(append([]tlog.Hash{}, p...))
				for s := int64(1); s <= N; s++ {
					for i := int64(0); i < s; i++ {
						tried++
						leaf := tlog.RecordHash([]byte(fmt.Sprintf("entry-%d", index)))
						if tlog.CheckRecord(tlog.RecordProof(q), s, roots[s], i, leaf) == nil {
							included = append(included, row{size, index, int64(c), s, i})
						}
					}
				}
			}
		}
	}
	for size := int64(1); size <= N; size++ {
		for old := int64(1); old <= size; old++ {
			p, err := tlog.ProveTree(size, old, store)
			if err != nil {
				panic(err)
			}
			for c, change := range changes {
				q := change(append([]tlog.Hash{}, p...))
				for s := int64(1); s <= N; s++ {
					for o := int64(1); o <= s; o++ {
						triedGrown++
						if tlog.CheckTree(tlog.TreeProof(q), s, roots[s], o, roots[o]) == nil {
							grown = append(grown, row{size, old, int64(c), s, o})
						}
					}
				}
			}
		}
	}
	out := map[string]any{"source": "golang.org/x/mod 0.7.0, sumdb/note and sumdb/tlog", "notes": notes, "inclusion": map[string]any{"tried": tried, "accepted": included},
		"consistency": map[string]any{"tried": triedGrown, "accepted": grown}}
	if len(os.Args) > 3 { // what Lethe wrote: key, note, proof, line
		read := func(i int) string {
			b, err := os.ReadFile(os.Args[i])
			if err != nil {
				panic(err)
			}
			return string(b)
		}
		vk, n, pr, ln := strings.TrimSpace(read(3)), read(4), read(5), strings.TrimSuffix(read(6), "\n")
		ver, err := note.NewVerifier(vk)
		if err != nil {
			panic(err)
		}
		opened, err := note.Open([]byte(n), note.VerifierList(ver))
		if err != nil {
			panic(err)
		}
		lines := strings.Split(opened.Text, "\n")
		size, _ := strconv.ParseInt(lines[1], 10, 64)
		rb, _ := base64.StdEncoding.DecodeString(lines[2])
		var th tlog.Hash
		copy(th[:], rb)
		head := strings.Split(strings.SplitN(pr, "\n\n", 2)[0], "\n")
		index, _ := strconv.ParseInt(strings.TrimPrefix(head[1], "index "), 10, 64)
		var p tlog.RecordProof
		for _, h := range head[2:] {
			hb, _ := base64.StdEncoding.DecodeString(h)
			var x tlog.Hash
			copy(x[:], hb)
			p = append(p, x)
		}
		if err := tlog.CheckRecord(p, size, th, index, tlog.RecordHash([]byte(ln))); err != nil {
			panic(err)
		}
		out["ours"] = map[string]any{"vkey": vk, "note": n, "proof": pr, "line": ln}
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		panic(err)
	}
}

func tlogEmpty() tlog.Hash { return tlog.Hash{} }
func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
