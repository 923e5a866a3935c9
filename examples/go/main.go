// Labels texts with a served classifier.
//
//	go run . [-server ADDRESS] TEXT...
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	ternv1 "github.com/tern-bert/tern/gen/tern/v1"
)

// gRPC itself retries what the server refuses because it is full or going
// away, and obeys the time that the server says to wait.
const serviceConfig = `{"methodConfig": [{
	"name": [{"service": "tern.v1.InferenceService"}],
	"retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
	}
}]}`

func main() {
	server := flag.String("server", "127.0.0.1:8500", "host:port")
	flag.Parse()

	connection, err := grpc.NewClient(*server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()

	request := &ternv1.ClassifyRequest{TopK: 1}
	for _, text := range flag.Args() {
		request.Inputs = append(request.Inputs, &ternv1.TextInput{Text: text})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	response, err := ternv1.NewInferenceServiceClient(connection).Classify(ctx, request)
	if err != nil {
		log.Fatalf("%s: %s", status.Code(err), status.Convert(err).Message())
	}
	for i, result := range response.Results {
		best := result.Labels[0]
		fmt.Printf("%s\t%.4f\t%s\n", best.Label, best.Score, flag.Arg(i))
	}
}
