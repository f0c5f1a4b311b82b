// Package ledger is the gRPC service shop.Ledger, which counts the orders that are entered. Its messages are those that
// protobuf has for single values, so no code is generated.
package ledger

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Enter enters an order.
func Enter(ctx context.Context, conn *grpc.ClientConn, order string) error {
	return conn.Invoke(ctx, "/shop.Ledger/Enter", wrapperspb.String(order), new(emptypb.Empty))
}

// Balance returns the number of orders that were entered.
func Balance(ctx context.Context, conn *grpc.ClientConn) (int64, error) {
	balance := new(wrapperspb.Int64Value)
	err := conn.Invoke(ctx, "/shop.Ledger/Balance", new(emptypb.Empty), balance)
	return balance.GetValue(), err
}

// Register adds a new ledger to a server.
func Register(server *grpc.Server) {
	entered := new(atomic.Int64)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.Ledger",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			method("Enter", func(*wrapperspb.StringValue) *emptypb.Empty {
				entered.Add(1)
				return new(emptypb.Empty)
			}),
			method("Balance", func(*emptypb.Empty) *wrapperspb.Int64Value { return wrapperspb.Int64(entered.Load()) }),
		},
	}, entered)
}

// method describes a method that cannot fail.
func method[Request, Response any](name string, serve func(*Request) Response) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := new(Request)
			if err := decode(request); err != nil {
				return nil, err
			}
			return serve(request), nil
		},
	}
}
