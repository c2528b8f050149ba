# Judges the mails on standard input with Mail::DKIM. Asks no DNS: records come along.
# In: {"records": {name: value}, "mails": [base64]}. Out: for each mail a list of {d, s, a, result, why, signed}.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;
use Mail::DKIM::Verifier;
use Net::DNS;

my $given = decode_json( do { local $/; <STDIN> } );
{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my $value = $given->{records}{ lc $_[0] };
        $@ = defined $value ? 'NOERROR' : 'NXDOMAIN';
        return unless defined $value;
        return Net::DNS::RR->new( name => $_[0], type => 'TXT', txtdata => [ unpack '(a255)*', $value ] );
    };
}
my @verdicts;
for my $mail ( @{ $given->{mails} } ) {
    my $judge = Mail::DKIM::Verifier->new;
    $judge->PRINT( decode_base64($mail) );
    $judge->CLOSE;
    push @verdicts, [
        map {
            my ( $result, $why ) = $_->result_detail =~ /^(\w+)(?: \((.*)\))?/;
            {   d => $_->domain, s => $_->selector, a => $_->algorithm,
                result => $result, why => $why // '', signed => $_->headerlist . '' };
        } $judge->signatures
    ];
}
print encode_json( \@verdicts );
