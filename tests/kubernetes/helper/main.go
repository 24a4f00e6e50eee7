// The small things that the script cluster needs a program for: it is the image of the pods of
// `cluster check`, and the door through which this machine reaches the node.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const usage = `usage: helper serve ADDRESS FOLDER            serves the folder's files over HTTP
       helper get URL                        prints what the URL answers with 200
       helper forward ADDRESS TARGET NETWORK listens here, and connects in that network namespace`

func main() {
	arguments := os.Args[1:]
	var err error
	switch {
	case len(arguments) == 3 && arguments[0] == "serve":
		err = serve(arguments[1], arguments[2])
	case len(arguments) == 2 && arguments[0] == "get":
		err = get(arguments[1])
	case len(arguments) == 4 && arguments[0] == "forward":
		err = forward(arguments[1], arguments[2], arguments[3])
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(64)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(1)
	}
}

func serve(address, folder string) error {
	fmt.Println("serving", folder)
	return http.ListenAndServe(address, http.FileServer(http.Dir(folder)))
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func forward(address, target, network string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	// A thread has its network namespace for itself: this one goes over, and what it dials is
	// dialled there. The listener stays where it was made.
	runtime.LockOSThread()
	namespace, err := os.Open(network)
	if err != nil {
		return err
	}
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%s: %w", network, err)
	}
	for {
		outside, err := listener.Accept()
		if err != nil {
			return err
		}
		inside, err := net.Dial("tcp", target)
		if err != nil {
			fmt.Fprintln(os.Stderr, "helper:", err)
			outside.Close()
			continue
		}
		go join(outside, inside)
	}
}

// Each direction ends by itself: one side may have said everything and still be listening.
func join(one, other net.Conn) {
	defer one.Close()
	defer other.Close()
	ended := make(chan struct{})
	go func() {
		pass(one, other)
		close(ended)
	}()
	pass(other, one)
	<-ended
}

func pass(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		// Nobody takes the rest: the other direction is to end as well.
		from.Close()
	}
	to.(*net.TCPConn).CloseWrite()
}
