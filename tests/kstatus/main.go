// Reads an object as JSON from standard input and says how kstatus judges it, by kstatus' own package: InProgress,
// Failed, Current, Terminating, NotFound or Unknown. Flux, among others, waits for what it says.
package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	object := &unstructured.Unstructured{}
	if err == nil {
		// Unlike encoding/json's, its numbers are integers, which kstatus asks for.
		err = object.UnmarshalJSON(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "this is no object:", err)
		os.Exit(1)
	}
	result, err := status.Compute(object)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(result.Status)
}
