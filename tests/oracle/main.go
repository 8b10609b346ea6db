// Oracle checks an audit log with somebody else's code: golang.org/x/mod/sumdb.
//
//	oracle DIRECTORY VKEY [SAVED-CHECKPOINT-FILE] [PROOFS-FILE]
//
// It opens the checkpoint with the verifier key, proves every entry with proofs of its own, checks that the log
// still begins with the saved checkpoint, and checks the proofs that it is given as JSON. Exit status 0 means that
// everything held; any doubt is written to standard error and gives 1. An empty argument stands for "none".
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tiles reads the files of C2SP tlog-tiles under the names that sumdb gives them.
type tiles struct{ directory string }

func (tiles) Height() int { return 8 }

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, 0, len(wanted))
	for _, tile := range wanted {
		name := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		name = strings.Replace(name, "tile/data/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(t.directory, name))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// proofs are what the log itself offers as proofs.
type proofs struct {
	Inclusion []struct {
		Index int64
		Proof []tlog.Hash
	}
	Consistency []struct {
		Old     int64
		OldRoot tlog.Hash
		Proof   []tlog.Hash
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 4 {
		return errors.New("four arguments, please")
	}
	directory, vkey, saved, offered := arguments[0], arguments[1], arguments[2], arguments[3]
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	tree, err := checkpoint(filepath.Join(directory, "checkpoint"), verifier)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, tiles{directory})
	if err := entries(directory, tree, reader); err != nil {
		return err
	}
	if saved != "" {
		if err := history(saved, verifier, tree, reader); err != nil {
			return err
		}
	}
	if offered != "" {
		if err := given(directory, offered, tree); err != nil {
			return err
		}
	}
	fmt.Println("verified", tree.N)
	return nil
}

func checkpoint(path string, verifier note.Verifier) (tlog.Tree, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// entries proves each entry of the log against the root.
func entries(directory string, tree tlog.Tree, reader tlog.HashReader) error {
	for start := int64(0); start < tree.N; start += 256 {
		leaves, err := bundle(directory, start/256, tree.N)
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			proof, err := tlog.ProveRecord(tree.N, start+int64(i), reader)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, start+int64(i), tlog.RecordHash(leaf)); err != nil {
				return fmt.Errorf("entry %d: %w", start+int64(i), err)
			}
		}
	}
	return nil
}

func bundle(directory string, index, size int64) ([][]byte, error) {
	width := int(min(256, size-index*256))
	found, err := tiles{directory}.ReadTiles([]tlog.Tile{{H: 8, L: -1, N: index, W: width}})
	if err != nil {
		return nil, err
	}
	data, leaves := found[0], [][]byte{}
	for len(data) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(data))
		if end > len(data) {
			return nil, errors.New("torn entry bundle")
		}
		leaves, data = append(leaves, data[2:end]), data[end:]
	}
	if len(data) != 0 || len(leaves) != width {
		return nil, fmt.Errorf("entry bundle %d is not whole", index)
	}
	return leaves, nil
}

// history proves that the log begins with a checkpoint that was kept.
func history(path string, verifier note.Verifier, tree tlog.Tree, reader tlog.HashReader) error {
	old, err := checkpoint(path, verifier)
	if err != nil {
		return err
	}
	if old.N > tree.N {
		return errors.New("the log has shrunk")
	}
	if old.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

// given checks the proofs that the log itself made.
func given(directory, path string, tree tlog.Tree) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var offered proofs
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&offered); err != nil {
		return err
	}
	for _, one := range offered.Inclusion {
		leaves, err := bundle(directory, one.Index/256, tree.N)
		if err != nil {
			return err
		}
		leaf := tlog.RecordHash(leaves[one.Index%256])
		if err := tlog.CheckRecord(one.Proof, tree.N, tree.Hash, one.Index, leaf); err != nil {
			return fmt.Errorf("offered proof of entry %d: %w", one.Index, err)
		}
	}
	for _, one := range offered.Consistency {
		if err := tlog.CheckTree(one.Proof, tree.N, tree.Hash, one.Old, one.OldRoot); err != nil {
			return fmt.Errorf("offered proof from size %d: %w", one.Old, err)
		}
	}
	return nil
}
