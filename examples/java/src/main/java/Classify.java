import dev.tern.v1.ClassifyRequest;
import dev.tern.v1.ClassifyResponse;
import dev.tern.v1.InferenceServiceGrpc;
import dev.tern.v1.Label;
import dev.tern.v1.TextInput;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Labels texts with a served classifier: Classify ADDRESS TEXT... */
public final class Classify {
  // gRPC itself retries what the server refuses because it is full or going
  // away, and obeys the time that the server says to wait.
  private static final Map<String, ?> SERVICE_CONFIG =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name", List.of(Map.of("service", "tern.v1.InferenceService")),
                  "retryPolicy",
                      Map.of(
                          "maxAttempts", 4.0,
                          "initialBackoff", "0.1s",
                          "maxBackoff", "2s",
                          "backoffMultiplier", 2.0,
                          "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED")))));

  public static void main(String[] arguments) {
    List<String> texts = List.of(arguments).subList(1, arguments.length);
    ManagedChannel channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create())
            .defaultServiceConfig(SERVICE_CONFIG)
            .build();
    try {
      ClassifyRequest.Builder request = ClassifyRequest.newBuilder().setTopK(1);
      texts.forEach(text -> request.addInputs(TextInput.newBuilder().setText(text)));
      ClassifyResponse response =
          InferenceServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(30, TimeUnit.SECONDS)
              .classify(request.build());
      for (int i = 0; i < texts.size(); ++i) {
        Label best = response.getResults(i).getLabels(0);
        System.out.printf("%s\t%.4f\t%s%n", best.getLabel(), best.getScore(), texts.get(i));
      }
    } catch (StatusRuntimeException error) {
      System.err.println(
          error.getStatus().getCode() + ": " + error.getStatus().getDescription());
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }
}
