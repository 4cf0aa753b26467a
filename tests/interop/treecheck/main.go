// Command treecheck judges an exported privacy log with the packages that guard Go's checksum database.
//
// It shares no line with the log's own code: signatures are opened by sumdb/note, trees are rebuilt and proved by
// sumdb/tlog. Only two things are added, because those packages know neither: the cosigner's key type 0x04 and the
// entry bundles of tlog-tiles.
//
//	treecheck -log VKEY [-witness VKEY]... [-need N] [-older NOTE] [-record INDEX=FILE]... DIRECTORY
//
// Every step prints one line. Exit code 0: all steps hold; 1: a step refuses; 2: wrong use.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	cosignerType = 4
	tileHeight   = 8
	bundleWidth  = 1 << tileHeight
)

// several is a flag that may be given more than once.
type several []string

func (s *several) String() string { return strings.Join(*s, ",") }
func (s *several) Set(value string) error {
	*s = append(*s, value)
	return nil
}

// cosigner verifies a tlog-cosignature v1 line: eight bytes of time, then Ed25519 over the time-stamped text.
type cosigner struct {
	label string
	id    uint32
	key   ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.label }
func (c *cosigner) KeyHash() uint32 { return c.id }

func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(signature[:8])
	var signed bytes.Buffer
	fmt.Fprintf(&signed, "cosignature/v1\ntime %d\n", seconds)
	signed.Write(text)
	return ed25519.Verify(c.key, signed.Bytes(), signature[8:])
}

func parseCosigner(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(strings.TrimSpace(vkey), "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("witness key is not of the form name+id+key")
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 1+ed25519.PublicKeySize || material[0] != cosignerType {
		return nil, fmt.Errorf("witness key of %q holds no key of type %d", parts[0], cosignerType)
	}
	digest := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
	if id := fmt.Sprintf("%x", digest[:4]); id != parts[1] {
		return nil, fmt.Errorf("witness key of %q says id %q, its key gives %q", parts[0], parts[1], id)
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(digest[:4]), ed25519.PublicKey(material[1:])}, nil
}

// folder serves the tiles of tlog-tiles, whose paths leave out the height that tlog puts into its own.
type folder string

func (f folder) Height() int                         { return tileHeight }
func (f folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (f folder) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		name := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
		content, err := os.ReadFile(filepath.Join(string(f), "tile", filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		found[i] = content
	}
	return found, nil
}

// bundle returns the entries of one bundle: each is preceded by its length in two bytes.
func (f folder) bundle(number int64, width int) ([][]byte, error) {
	tile := tlog.Tile{H: tileHeight, L: 0, N: number, W: width}
	name := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight))
	rest, err := os.ReadFile(filepath.Join(string(f), "tile", "entries", filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(rest) > 0 {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, fmt.Errorf("entry bundle %d ends inside an entry", number)
		}
		length := int(binary.BigEndian.Uint16(rest))
		entries, rest = append(entries, rest[2:2+length]), rest[2+length:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("entry bundle %d holds %d entries, expected %d", number, len(entries), width)
	}
	return entries, nil
}

// judge holds what the steps share: whose signatures count, and the head that was signed.
type judge struct {
	log       note.Verifier
	witnesses []note.Verifier
	tiles     folder
	head      tlog.Tree
	hashes    tlog.HashReader
}

// head opens a note that the log must have signed, and returns its tree and the number of cosignatures.
func (j *judge) open(path string) (tlog.Tree, int, error) {
	var none tlog.Tree
	content, err := os.ReadFile(path)
	if err != nil {
		return none, 0, err
	}
	opened, err := note.Open(content, note.VerifierList(append([]note.Verifier{j.log}, j.witnesses...)...))
	if err != nil {
		return none, 0, err
	}
	signed, cosigned := false, 0
	for _, each := range opened.Sigs {
		if each.Name == j.log.Name() && each.Hash == j.log.KeyHash() {
			signed = true
		} else {
			cosigned++
		}
	}
	if !signed {
		return none, 0, errors.New("the log itself did not sign it")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != j.log.Name() {
		return none, 0, fmt.Errorf("it is no checkpoint of %s", j.log.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return none, 0, fmt.Errorf("its size %q is no plain number", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return none, 0, err
	}
	return tlog.Tree{N: size, Hash: root}, cosigned, nil
}

// entries compares every entry with the leaf that the tiles show; reading the leaves proves all tiles against the root.
func (j *judge) entries() error {
	for first := int64(0); first < j.head.N; first += bundleWidth {
		width := bundleWidth
		if left := j.head.N - first; left < bundleWidth {
			width = int(left)
		}
		places := make([]int64, width)
		for i := range places {
			places[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := j.hashes.ReadHashes(places)
		if err != nil {
			return err
		}
		records, err := j.tiles.bundle(first/bundleWidth, width)
		if err != nil {
			return err
		}
		for i, record := range records {
			if tlog.RecordHash(record) != leaves[i] {
				return fmt.Errorf("entry %d is not the one that the tree holds", first+int64(i))
			}
		}
	}
	return nil
}

func (j *judge) continues(older tlog.Tree) error {
	if older.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(j.head.N, older.N, j.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, j.head.N, j.head.Hash, older.N, older.Hash)
}

// holds proves that the file's bytes are the record at an index: `claim` is INDEX=FILE.
func (j *judge) holds(claim string) error {
	number, path, _ := strings.Cut(claim, "=")
	index, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	record, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(j.head.N, index, j.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, j.head.N, j.head.Hash, index, tlog.RecordHash(record))
}

func (j *judge) run(need int, older string, claims []string) error {
	head, cosigned, err := j.open(filepath.Join(string(j.tiles), "checkpoint"))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	fmt.Printf("checkpoint: %s signed %d records, %d cosignatures\n", j.log.Name(), head.N, cosigned)
	if cosigned < need {
		return fmt.Errorf("quorum: %d cosignatures, %d are needed", cosigned, need)
	}
	j.head, j.hashes = head, tlog.TileHashReader(head, j.tiles)
	if err := j.entries(); err != nil {
		return fmt.Errorf("entries: %w", err)
	}
	fmt.Printf("entries: %d lead to the signed root\n", head.N)
	if older != "" {
		before, _, err := j.open(older)
		if err == nil {
			err = j.continues(before)
		}
		if err != nil {
			return fmt.Errorf("older checkpoint: %w", err)
		}
		fmt.Printf("older checkpoint: %d records, continued\n", before.N)
	}
	for _, claim := range claims {
		if err := j.holds(claim); err != nil {
			return fmt.Errorf("record %s: %w", claim, err)
		}
		fmt.Printf("record %s: included\n", claim)
	}
	return nil
}

func main() {
	var witnesses, claims several
	vkey := flag.String("log", "", "public key of the log")
	need := flag.Int("need", 0, "cosignatures that a checkpoint needs")
	older := flag.String("older", "", "a checkpoint seen earlier")
	flag.Var(&witnesses, "witness", "public key of a witness (type 4)")
	flag.Var(&claims, "record", "INDEX=FILE: these bytes are that record")
	flag.Parse()
	log, err := note.NewVerifier(strings.TrimSpace(*vkey))
	j := judge{log: log, tiles: folder(flag.Arg(0))}
	for _, each := range witnesses {
		witness, wrong := parseCosigner(each)
		if wrong != nil {
			err = wrong
		}
		j.witnesses = append(j.witnesses, witness)
	}
	if err != nil || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "treecheck: wrong use:", err)
		os.Exit(2)
	}
	if err := j.run(*need, *older, claims); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}
