// Sends N events to HOST with Segment's library for Go.
//
// Nine in ten events have a messageId and a timestamp that depend only on their number, so they are the same events when
// they are sent again. The library sets those of the other events.
package main

import (
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/segmentio/analytics-go/v3"
)

// The time of the first event.
var first = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// The time between two events. It is no whole number of milliseconds.
const apart = 37*time.Millisecond + 123*time.Nanosecond

// Counts the events that the library could not send.
type failures struct{ atomic.Int32 }

func (f *failures) Success(analytics.Message) {}

func (f *failures) Failure(message analytics.Message, err error) {
	f.Add(1)
	fmt.Fprintln(os.Stderr, err)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: send HOST N")
		os.Exit(64)
	}
	count, err := strconv.Atoi(os.Args[2])
	check(err)
	failed := &failures{}
	config := analytics.Config{Endpoint: os.Args[1], BatchSize: 100, Callback: failed}
	client, err := analytics.NewWithConfig("tests", config)
	check(err)
	for i := range count {
		check(client.Enqueue(event(i)))
	}
	check(client.Close())
	if failed.Load() > 0 {
		os.Exit(1)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func event(i int) analytics.Message {
	var id string
	var at time.Time
	var context *analytics.Context
	var integrations analytics.Integrations
	if i%10 != 0 {
		id, at, context = messageID(i), first.Add(time.Duration(i)*apart), contextOf(i)
		integrations = analytics.Integrations{"All": i%2 == 0}
		if i%4 == 0 {
			at = at.In(time.FixedZone("", 5*3600+1800))
		}
	}
	user, anonymous := fmt.Sprintf("user %d é", i%101), ""
	if i%3 == 0 {
		user, anonymous = "", fmt.Sprintf("browser-%d", i%97)
	}
	switch i % 6 {
	case 0:
		name := fmt.Sprintf("Order %d – “paid”", i%7)
		return analytics.Track{MessageId: id, Timestamp: at, UserId: user, AnonymousId: anonymous, Event: name,
			Properties: properties(i), Context: context, Integrations: integrations}
	case 1:
		return analytics.Identify{MessageId: id, Timestamp: at, UserId: user, AnonymousId: anonymous,
			Traits: properties(i), Context: context, Integrations: integrations}
	case 2:
		return analytics.Page{MessageId: id, Timestamp: at, UserId: user, AnonymousId: anonymous, Name: "Größe",
			Properties: properties(i), Context: context, Integrations: integrations}
	case 3:
		return analytics.Screen{MessageId: id, Timestamp: at, UserId: user, AnonymousId: anonymous, Name: "Home",
			Properties: properties(i), Context: context, Integrations: integrations}
	case 4:
		return analytics.Group{MessageId: id, Timestamp: at, UserId: user, AnonymousId: anonymous,
			GroupId: fmt.Sprintf("group-%d", i%11), Traits: properties(i), Context: context, Integrations: integrations}
	default:
		return analytics.Alias{MessageId: id, Timestamp: at, UserId: fmt.Sprintf("user-%d", i),
			PreviousId: fmt.Sprintf("browser-%d", i), Context: context, Integrations: integrations}
	}
}

// Most are plain; some have characters that an object key can't contain unescaped, and some the maximum length.
func messageID(i int) string {
	switch i % 50 {
	case 1:
		return fmt.Sprintf("go/%d 100%%~ü🚀", i)
	case 2:
		id := fmt.Sprintf("go-%d-", i)
		return id + strings.Repeat("é", 100-len(id))
	default:
		return fmt.Sprintf("go-%d", i)
	}
}

func contextOf(i int) *analytics.Context {
	page := analytics.PageInfo{Path: fmt.Sprintf("/p/%d", i), Search: `?a=1&b="2"`}
	return &analytics.Context{IP: net.IPv4(203, 0, 113, 7), Locale: "de-CH", Page: page}
}

func properties(i int) map[string]interface{} {
	return map[string]interface{}{
		"number":                    i,
		"price":                     float64(i) / 7,
		"large":                     uint64(math.MaxUint64),
		"huge":                      math.MaxFloat64,
		"tiny":                      math.SmallestNonzeroFloat64,
		"nothing":                   nil,
		"empty":                     []interface{}{"", map[string]string{}, []int{}},
		"list":                      []interface{}{1, "two", nil, []interface{}{3.5, map[string]int{"four": 4}}, false},
		"text":                      "ünïcödé 🚀 日本語 עברית e\u0301 \u2028 \x00 \\ \" </script>",
		"key with \"quotes\" and 🗝": true,
		"bytes":                     []byte{0, 255},
		"long":                      strings.Repeat("x", i%700),
		"when":                      first.Add(time.Duration(i) * apart),
	}
}
