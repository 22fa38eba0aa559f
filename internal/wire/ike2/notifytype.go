package ike2

import "strconv"

// NotifyType is the type of a Notify payload (RFC 7296 §3.10.1).
type NotifyType uint16

// Notify types: errors below 16384, status from there.
const (
	// Errors of RFC 7296 §3.10.1
	UnsupportedCriticalPayload NotifyType = 1
	InvalidIKESPI              NotifyType = 4
	InvalidMajorVersion        NotifyType = 5
	InvalidSyntax              NotifyType = 7
	InvalidMessageID           NotifyType = 9
	InvalidSPI                 NotifyType = 11
	NoProposalChosen           NotifyType = 14
	InvalidKEPayload           NotifyType = 17
	AuthenticationFailed       NotifyType = 24
	SinglePairRequired         NotifyType = 34
	NoAdditionalSAs            NotifyType = 35
	InternalAddressFailure     NotifyType = 36
	FailedCPRequired           NotifyType = 37
	TSUnacceptable             NotifyType = 38
	InvalidSelectors           NotifyType = 39

	// RFC 4555 §4.1
	UnacceptableAddresses NotifyType = 40
	UnexpectedNATDetected NotifyType = 41

	// RFC 7296 §2.25
	TemporaryFailure NotifyType = 43
	ChildSANotFound  NotifyType = 44

	// RFC 9370 §4.1, RFC 9611 §5
	StateNotFound NotifyType = 47
	TSMaxQueue    NotifyType = 48

	// Status types of RFC 7296 §3.10.1
	InitialContact            NotifyType = 16384
	SetWindowSize             NotifyType = 16385
	AdditionalTSPossible      NotifyType = 16386
	IPCOMPSupported           NotifyType = 16387
	NATDetectionSourceIP      NotifyType = 16388
	NATDetectionDestinationIP NotifyType = 16389
	Cookie                    NotifyType = 16390
	UseTransportMode          NotifyType = 16391
	HTTPCertLookupSupported   NotifyType = 16392
	RekeySA                   NotifyType = 16393
	ESPTFCPaddingNotSupported NotifyType = 16394
	NonFirstFragmentsAlso     NotifyType = 16395

	// RFC 4555 §4.2
	MOBIKESupported       NotifyType = 16396
	AdditionalIP4Address  NotifyType = 16397
	AdditionalIP6Address  NotifyType = 16398
	NoAdditionalAddresses NotifyType = 16399
	UpdateSAAddresses     NotifyType = 16400
	Cookie2               NotifyType = 16401
	NoNATsAllowed         NotifyType = 16402

	// RFC 4478 §4
	AuthLifetime NotifyType = 16403

	// RFC 5685 §10
	RedirectSupported NotifyType = 16406
	Redirect          NotifyType = 16407
	RedirectedFrom    NotifyType = 16408

	// RFC 5723 §9
	TicketLTOpaque NotifyType = 16409
	TicketRequest  NotifyType = 16410
	TicketACK      NotifyType = 16411
	TicketNACK     NotifyType = 16412
	TicketOpaque   NotifyType = 16413

	// RFC 6023 §2
	ChildlessIKEv2Supported NotifyType = 16418

	// RFC 6290 §4.1
	QuickCrashDetection NotifyType = 16419

	// RFC 6311 §7
	IKEv2MessageIDSyncSupported     NotifyType = 16420
	IPsecReplayCounterSyncSupported NotifyType = 16421
	IKEv2MessageIDSync              NotifyType = 16422
	IPsecReplayCounterSync          NotifyType = 16423

	// RFC 7383 §2.3, RFC 7427 §4
	IKEv2FragmentationSupported NotifyType = 16430
	SignatureHashAlgorithms     NotifyType = 16431

	// RFC 8019 §8.1
	Puzzle NotifyType = 16434

	// RFC 8784 §3
	UsePPK      NotifyType = 16435
	PPKIdentity NotifyType = 16436
	NoPPKAuth   NotifyType = 16437

	// RFC 9242 §3.1, RFC 9370 §4.1
	IntermediateExchangeSupported NotifyType = 16438
	AdditionalKeyExchange         NotifyType = 16441

	// RFC 9347 §5.1, RFC 9593 §3.1, RFC 9611 §5
	UseAGGFRAG           NotifyType = 16442
	SupportedAuthMethods NotifyType = 16443
	SAResourceInfo       NotifyType = 16444
)

// IsError says that the type reports an error: in a response, that the request failed, whether or not the type
// is known (RFC 7296 §3.10.1).
func (t NotifyType) IsError() bool { return t < InitialContact }

// String is the RFC's name of the type, or its number.
func (t NotifyType) String() string {
	if t.IsError() {
		return t.errorName()
	}
	return t.statusName()
}

func (t NotifyType) errorName() string {
	switch t {
	case UnsupportedCriticalPayload:
		return "UNSUPPORTED_CRITICAL_PAYLOAD"
	case InvalidIKESPI:
		return "INVALID_IKE_SPI"
	case InvalidMajorVersion:
		return "INVALID_MAJOR_VERSION"
	case InvalidSyntax:
		return "INVALID_SYNTAX"
	case InvalidMessageID:
		return "INVALID_MESSAGE_ID"
	case InvalidSPI:
		return "INVALID_SPI"
	case NoProposalChosen:
		return "NO_PROPOSAL_CHOSEN"
	case InvalidKEPayload:
		return "INVALID_KE_PAYLOAD"
	case AuthenticationFailed:
		return "AUTHENTICATION_FAILED"
	case SinglePairRequired:
		return "SINGLE_PAIR_REQUIRED"
	case NoAdditionalSAs:
		return "NO_ADDITIONAL_SAS"
	case InternalAddressFailure:
		return "INTERNAL_ADDRESS_FAILURE"
	case FailedCPRequired:
		return "FAILED_CP_REQUIRED"
	case TSUnacceptable:
		return "TS_UNACCEPTABLE"
	case InvalidSelectors:
		return "INVALID_SELECTORS"
	case UnacceptableAddresses:
		return "UNACCEPTABLE_ADDRESSES"
	case UnexpectedNATDetected:
		return "UNEXPECTED_NAT_DETECTED"
	case TemporaryFailure:
		return "TEMPORARY_FAILURE"
	case ChildSANotFound:
		return "CHILD_SA_NOT_FOUND"
	case StateNotFound:
		return "STATE_NOT_FOUND"
	case TSMaxQueue:
		return "TS_MAX_QUEUE"
	}
	return "error-" + strconv.Itoa(int(t))
}

func (t NotifyType) statusName() string {
	switch t {
	case InitialContact:
		return "INITIAL_CONTACT"
	case SetWindowSize:
		return "SET_WINDOW_SIZE"
	case AdditionalTSPossible:
		return "ADDITIONAL_TS_POSSIBLE"
	case IPCOMPSupported:
		return "IPCOMP_SUPPORTED"
	case NATDetectionSourceIP:
		return "NAT_DETECTION_SOURCE_IP"
	case NATDetectionDestinationIP:
		return "NAT_DETECTION_DESTINATION_IP"
	case Cookie:
		return "COOKIE"
	case UseTransportMode:
		return "USE_TRANSPORT_MODE"
	case HTTPCertLookupSupported:
		return "HTTP_CERT_LOOKUP_SUPPORTED"
	case RekeySA:
		return "REKEY_SA"
	case ESPTFCPaddingNotSupported:
		return "ESP_TFC_PADDING_NOT_SUPPORTED"
	case NonFirstFragmentsAlso:
		return "NON_FIRST_FRAGMENTS_ALSO"
	case MOBIKESupported:
		return "MOBIKE_SUPPORTED"
	case AdditionalIP4Address:
		return "ADDITIONAL_IP4_ADDRESS"
	case AdditionalIP6Address:
		return "ADDITIONAL_IP6_ADDRESS"
	case NoAdditionalAddresses:
		return "NO_ADDITIONAL_ADDRESSES"
	case UpdateSAAddresses:
		return "UPDATE_SA_ADDRESSES"
	case Cookie2:
		return "COOKIE2"
	case NoNATsAllowed:
		return "NO_NATS_ALLOWED"
	case AuthLifetime:
		return "AUTH_LIFETIME"
	case RedirectSupported:
		return "REDIRECT_SUPPORTED"
	case Redirect:
		return "REDIRECT"
	case RedirectedFrom:
		return "REDIRECTED_FROM"
	case TicketLTOpaque:
		return "TICKET_LT_OPAQUE"
	case TicketRequest:
		return "TICKET_REQUEST"
	case TicketACK:
		return "TICKET_ACK"
	case TicketNACK:
		return "TICKET_NACK"
	case TicketOpaque:
		return "TICKET_OPAQUE"
	case ChildlessIKEv2Supported:
		return "CHILDLESS_IKEV2_SUPPORTED"
	case QuickCrashDetection:
		return "QUICK_CRASH_DETECTION"
	case IKEv2MessageIDSyncSupported:
		return "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"
	case IPsecReplayCounterSyncSupported:
		return "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED"
	case IKEv2MessageIDSync:
		return "IKEV2_MESSAGE_ID_SYNC"
	case IPsecReplayCounterSync:
		return "IPSEC_REPLAY_COUNTER_SYNC"
	case IKEv2FragmentationSupported:
		return "IKEV2_FRAGMENTATION_SUPPORTED"
	case SignatureHashAlgorithms:
		return "SIGNATURE_HASH_ALGORITHMS"
	case Puzzle:
		return "PUZZLE"
	case UsePPK:
		return "USE_PPK"
	case PPKIdentity:
		return "PPK_IDENTITY"
	case NoPPKAuth:
		return "NO_PPK_AUTH"
	case IntermediateExchangeSupported:
		return "INTERMEDIATE_EXCHANGE_SUPPORTED"
	case AdditionalKeyExchange:
		return "ADDITIONAL_KEY_EXCHANGE"
	case UseAGGFRAG:
		return "USE_AGGFRAG"
	case SupportedAuthMethods:
		return "SUPPORTED_AUTH_METHODS"
	case SAResourceInfo:
		return "SA_RESOURCE_INFO"
	}
	return "status-" + strconv.Itoa(int(t))
}
