// Reads metrics in Prometheus' text format 0.0.4 from standard input and says what is wrong with them. It
// is the check of `promtool check metrics`, by the package that promtool itself uses, and takes seconds to
// build where promtool, with the rest of Prometheus in it, takes many minutes.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func main() {
	problems, err := promlint.New(os.Stdin).Lint()
	if err != nil {
		fmt.Fprintln(os.Stderr, "this is not the text format:", err)
		os.Exit(1)
	}
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem.Metric, problem.Text)
	}
	if len(problems) > 0 {
		os.Exit(3)
	}
}
