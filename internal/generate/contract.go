package main

import (
	"maps"
	"slices"

	"github.com/parley-engine/parley/internal/bus/contract"
	"github.com/parley-engine/parley/internal/engine"
)

// contractFiles are the documents for services on the bus: the AsyncAPI
// description and the JSON Schemas it refers to.
func contractFiles() ([]product, error) {
	var commands []contract.CommandType
	for _, c := range engine.CommandTypes() {
		commands = append(commands, contract.CommandType{Name: c.Name, Value: c.Fields})
	}
	files, err := contract.Render(commands)
	if err != nil {
		return nil, err
	}
	var list []product
	for _, path := range slices.Sorted(maps.Keys(files)) {
		list = append(list, product{"docs/" + path, func(string) ([]byte, error) { return files[path], nil }})
	}
	return list, nil
}
